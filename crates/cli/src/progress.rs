//! The line of progress, and notes, on standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use foreshadow_engine::Progress;

use crate::render::amount::fraction;
use crate::term::{Style, say};

/// Shows what is going on: a line that is drawn over on a terminal, nothing elsewhere (with
/// `-v`, one line for each step). Notes are shown everywhere, each once.
#[derive(Debug)]
pub(crate) struct Reporter {
    style: Style,
    mode: Mode,
    said: Vec<String>,
    line: Option<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Silent,
    Drawn,
    Lines,
}

impl Reporter {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        let style = Style::stderr();
        let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb" || t.is_empty());
        let mode = if quiet {
            Mode::Silent
        } else if io::stderr().is_terminal() && !dumb {
            Mode::Drawn
        } else if verbose {
            Mode::Lines
        } else {
            Mode::Silent
        };
        Reporter {
            style,
            mode,
            said: Vec::new(),
            line: None,
        }
    }

    pub(crate) fn show(&mut self, progress: &Progress) {
        let text = match progress {
            Progress::Note(note) => {
                self.note(note);
                return;
            }
            // From here on the terminal is the command's.
            Progress::Running => {
                self.line = None;
                return;
            }
            Progress::Discovering => "looking at the command and its inputs".to_owned(),
            Progress::Shadow {
                number,
                fraction: f,
            } => match f {
                Some(f) => format!("shadow {number}: {} of the work", fraction(*f)),
                None => format!("shadow {number}: the beginning of the work"),
            },
        };
        match self.mode {
            Mode::Silent => {}
            Mode::Lines => say(&text),
            // The thread begins only now, so that it inherits the signals that the engine blocked.
            Mode::Drawn => self
                .line
                .get_or_insert_with(|| Line::start(self.style))
                .set(text),
        }
    }

    fn note(&mut self, note: &str) {
        // What follows the colon is the cause: one is told once, whatever else it prevents.
        let cause = note.split_once(": ").map_or(note, |(_, cause)| cause);
        if self.said.iter().any(|s| s == cause) {
            return;
        }
        self.said.push(cause.to_owned());
        // Cleared, and begun again by the next step.
        self.line = None;
        say(note);
    }
}

/// A line that lives until dropped, which clears it.
#[derive(Debug)]
struct Line {
    texts: Option<Sender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    fn start(style: Style) -> Self {
        let (texts, incoming) = mpsc::channel::<String>();
        let thread = std::thread::Builder::new()
            .name("progress".into())
            .spawn(move || {
                let started = Instant::now();
                let frames: &[char] = if style.unicode {
                    &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
                } else {
                    &['|', '/', '-', '\\']
                };
                let mut text = String::new();
                for frame in frames.iter().cycle() {
                    match incoming.recv_timeout(Duration::from_millis(120)) {
                        Ok(new) => text = new,
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                    let seconds = started.elapsed().as_secs_f64();
                    let line: String = format!("{frame} {text} ({seconds:.1} s)")
                        .chars()
                        .take(style.width.saturating_sub(1))
                        .collect();
                    draw(&format!("\r\x1b[K{line}"));
                }
                draw("\r\x1b[K");
            })
            .ok();
        Line {
            texts: Some(texts),
            thread,
        }
    }

    fn set(&self, text: String) {
        if let Some(texts) = &self.texts {
            // Without its thread there is no line, and nothing else is lost.
            let _ = texts.send(text);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.texts = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn draw(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
