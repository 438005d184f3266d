use std::env;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// The state directory: `$FORESHADOW_STATE_DIR`, else `$XDG_STATE_HOME/foreshadow`, else
/// `~/.local/state/foreshadow`; the same rule for root as for everybody. The directory need not
/// exist yet.
///
/// As the XDG base directory specification asks, a relative `$XDG_STATE_HOME` is ignored.
///
/// # Errors
/// [`StoreError::NoHome`] where none of the three variables is set, [`StoreError::NotAbsolute`]
/// where `$FORESHADOW_STATE_DIR` is a relative path.
pub fn state_dir() -> Result<PathBuf, StoreError> {
    choose(|name| {
        env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    })
}

fn choose(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, StoreError> {
    if let Some(dir) = variable("FORESHADOW_STATE_DIR") {
        return if dir.is_absolute() {
            Ok(dir)
        } else {
            Err(StoreError::NotAbsolute { path: dir })
        };
    }
    let absolute = |p: &PathBuf| Path::is_absolute(p);
    variable("XDG_STATE_HOME")
        .filter(absolute)
        .or_else(|| {
            variable("HOME")
                .filter(absolute)
                .map(|home| home.join(".local/state"))
        })
        .map(|base| base.join("foreshadow"))
        .ok_or(StoreError::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)]) -> Result<PathBuf, StoreError> {
        choose(|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| PathBuf::from(v))
        })
    }

    #[test]
    fn variables_in_their_order() {
        let all = [
            ("HOME", "/h"),
            ("XDG_STATE_HOME", "/x"),
            ("FORESHADOW_STATE_DIR", "/f"),
        ];
        assert_eq!(chosen(&all).unwrap(), Path::new("/f"));
        assert_eq!(chosen(&all[..2]).unwrap(), Path::new("/x/foreshadow"));
        assert_eq!(
            chosen(&all[..1]).unwrap(),
            Path::new("/h/.local/state/foreshadow")
        );
        assert!(matches!(chosen(&[]), Err(StoreError::NoHome)));
    }

    #[test]
    fn relative_directories_are_not_used() {
        assert_eq!(
            chosen(&[("HOME", "/h"), ("XDG_STATE_HOME", "x")]).unwrap(),
            Path::new("/h/.local/state/foreshadow")
        );
        assert!(matches!(
            chosen(&[("FORESHADOW_STATE_DIR", "f")]),
            Err(StoreError::NotAbsolute { .. })
        ));
    }
}
