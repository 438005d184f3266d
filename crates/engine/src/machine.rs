//! What the engine needs to know of the machine and its files.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use foreshadow_environment::Host;

use crate::error::EngineError;

/// The kind of machine: runs on one say nothing of times on another.
pub(crate) fn class(host: &Host) -> String {
    let model = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|l| l.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    format!("{} {model}, {} cores", std::env::consts::ARCH, host.cpus())
}

/// The program that a command names, looked up as `execvp` does.
pub(crate) fn find(
    command: &OsStr,
    env: &[(OsString, OsString)],
    cwd: &Path,
) -> Result<PathBuf, EngineError> {
    let not_found = || EngineError::NotFound {
        command: command.into(),
    };
    if command.is_empty() {
        return Err(not_found());
    }
    if command.as_bytes().contains(&b'/') {
        return check(&cwd.join(command), command)?.ok_or_else(not_found);
    }
    let default = OsString::from("/usr/local/bin:/usr/bin:/bin");
    let path = env
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or(&default, |(_, value)| value);
    let mut refused = None;
    for dir in std::env::split_paths(path) {
        match check(&cwd.join(dir).join(command), command) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            // One further on may do, as for the shell.
            Err(e) => refused = Some(e),
        }
    }
    Err(refused.unwrap_or_else(not_found))
}

/// The path where it is an executable file; `None` where there is none.
fn check(path: &Path, command: &OsStr) -> Result<Option<PathBuf>, EngineError> {
    let refuse = |source: std::io::Error| EngineError::NotExecutable {
        command: command.into(),
        reason: source.to_string(),
    };
    match fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Err(refuse(e)),
        Err(_) => Ok(None),
        Ok(meta) if meta.is_dir() => Err(refuse(std::io::Error::from_raw_os_error(21))),
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => {
            Err(refuse(std::io::Error::from_raw_os_error(13)))
        }
        Ok(_) => Ok(Some(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in(dir: &Path, command: &str) -> Result<PathBuf, EngineError> {
        let env = [("PATH".into(), dir.as_os_str().to_owned())];
        find(OsStr::new(command), &env, dir)
    }

    #[test]
    fn commands_are_found_as_a_shell_finds_them() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("tool"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(at("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(at("text"), "").unwrap();
        assert_eq!(find_in(dir.path(), "tool").unwrap(), at("tool"));
        assert_eq!(find_in(dir.path(), "./tool").unwrap(), at("./tool"));
        for absent in ["none", "./none", ""] {
            let found = find_in(dir.path(), absent);
            assert!(
                matches!(found, Err(EngineError::NotFound { .. })),
                "{absent}"
            );
        }
        for refused in ["text", "./text", "./."] {
            let found = find_in(dir.path(), refused);
            assert!(
                matches!(found, Err(EngineError::NotExecutable { .. })),
                "{refused}"
            );
        }
    }
}
