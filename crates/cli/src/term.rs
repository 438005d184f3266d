//! What the reader's terminal can show.

use std::env;
use std::io::{self, IsTerminal, Write as _};
use std::os::fd::AsFd;

/// How to write for one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Columns.
    pub(crate) width: usize,
    /// Whether colours and bold are wanted.
    pub(crate) color: bool,
    /// Whether characters beyond ASCII are shown.
    pub(crate) unicode: bool,
}

/// A way to set a text off.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paint {
    Bold,
    Dim,
    Good,
    Bad,
}

impl Style {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self::of(&io::stdout())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self::of(&io::stderr())
    }

    fn of(stream: &(impl IsTerminal + AsFd)) -> Self {
        let terminal = stream.is_terminal();
        let columns = terminal
            .then(|| rustix::termios::tcgetwinsize(stream).ok())
            .flatten()
            .map(|size| usize::from(size.ws_col));
        Self::from_environment(terminal, columns, |name| env::var(name).ok())
    }

    fn from_environment(
        terminal: bool,
        columns: Option<usize>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|v| !v.is_empty());
        let dumb = set("TERM").is_some_and(|t| t == "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(set)
            .unwrap_or_default()
            .to_ascii_lowercase();
        let width = set("COLUMNS")
            .and_then(|c| c.parse().ok())
            .or(columns)
            .filter(|&c| c > 0)
            .unwrap_or(80);
        Style {
            // Below 40 columns the tables do not fit; beyond 100, lines are hard to follow.
            width: width.clamp(40, 100),
            color: terminal && !dumb && set("NO_COLOR").is_none(),
            unicode: !dumb && (locale.contains("utf-8") || locale.contains("utf8")),
        }
    }

    /// `text` set off, where colours are wanted.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Good => "32",
            Paint::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Either of two texts: with characters beyond ASCII, or without.
    pub(crate) fn pick<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { unicode } else { ascii }
    }
}

/// One message of ours, on standard error.
pub(crate) fn say(message: &str) {
    // Nobody is left to tell where standard error is closed.
    let _ = writeln!(io::stderr().lock(), "foreshadow: {message}");
}

/// A report of ours, on standard error.
pub(crate) fn write(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(terminal: bool, columns: Option<usize>, variables: &[(&str, &str)]) -> Style {
        Style::from_environment(terminal, columns, |name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn what_the_environment_asks_for() {
        let utf8 = ("LANG", "de_DE.UTF-8");
        let plain = style(false, None, &[]);
        assert_eq!(
            (plain.width, plain.color, plain.unicode),
            (80, false, false)
        );
        let full = style(true, Some(70), &[utf8, ("NO_COLOR", "")]);
        assert_eq!((full.width, full.color, full.unicode), (70, true, true));
        assert!(!style(true, None, &[("NO_COLOR", "1")]).color);
        let dumb = style(true, None, &[utf8, ("TERM", "dumb")]);
        assert!(!dumb.color && !dumb.unicode);
        assert!(!style(true, None, &[utf8, ("LC_ALL", "C")]).unicode);
        assert!(style(false, None, &[utf8]).unicode);
        assert_eq!(style(true, Some(200), &[]).width, 100);
        assert_eq!(style(true, Some(0), &[]).width, 80);
        assert_eq!(style(true, Some(5), &[]).width, 40);
        assert_eq!(style(false, None, &[("COLUMNS", "50")]).width, 50);
    }
}
