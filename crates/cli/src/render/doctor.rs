//! What this machine offers.

use foreshadow_environment::{Finding, Status};

use super::text::wrap;
use crate::term::{Paint, Style};

/// A paragraph for each finding: what was found, and the command that mends it.
pub(crate) fn report(findings: &[Finding], style: &Style) -> String {
    let mut out = String::new();
    for finding in findings {
        let (mark, paint) = match finding.status {
            Status::Available => (style.pick("✓ ", "ok  "), Paint::Good),
            Status::Limited => (style.pick("~ ", "--  "), Paint::Bold),
            Status::Missing => (style.pick("✗ ", "NO  "), Paint::Bad),
        };
        let text = wrap(
            mark,
            &format!("{}: {}", finding.name, finding.detail),
            style.width,
        );
        // Painted after wrapping, which counts columns.
        out.push_str(&style.paint(paint, mark));
        out.push_str(text.strip_prefix(mark).unwrap_or(&text));
        if let Some(remedy) = &finding.remedy {
            let indent = " ".repeat(mark.chars().count());
            // Not broken into lines: it is to be copied.
            out.push_str(&format!("{indent}mend it with: {remedy}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_with_their_remedies() {
        let finding = |status, remedy: Option<&str>| Finding {
            name: "control groups".into(),
            status,
            detail: "of version 2, delegated to this user with all that is needed here".into(),
            remedy: remedy.map(str::to_owned),
        };
        let findings = [
            finding(Status::Available, None),
            finding(Status::Missing, Some("loginctl enable-linger \"$USER\"")),
        ];
        let mut style = Style {
            width: 40,
            color: false,
            unicode: false,
        };
        assert_eq!(
            report(&findings, &style),
            "ok  control groups: of version 2,\n    delegated to this user with all that\n    \
             is needed here\n\
             NO  control groups: of version 2,\n    delegated to this user with all that\n    \
             is needed here\n    mend it with: loginctl enable-linger \"$USER\"\n"
        );
        style.unicode = true;
        assert!(report(&findings, &style).starts_with("✓ control groups: "));
    }
}
