use foreshadow_environment::{Finding, Host, Status};
use foreshadow_store::{HistoryFilter, Store, StoreError, state_dir};
use serde::Serialize;

use crate::args::DoctorArguments;
use crate::failure::Failure;
use crate::term::Style;
use crate::{output, render};

pub(super) fn execute(arguments: &DoctorArguments) -> Result<(), Failure> {
    let mut findings = Host::detect().findings();
    findings.push(history());
    if arguments.json {
        output::print_json(&Document {
            schema: "foreshadow.doctor/1",
            version: env!("CARGO_PKG_VERSION"),
            findings: &findings,
        })
    } else {
        output::print(&render::doctor::report(&findings, &Style::stdout()))
    }
}

/// `doctor --json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    findings: &'a [Finding],
}

/// Whether the history can be read and written. Makes nothing where there is none yet.
fn history() -> Finding {
    let (status, detail) = match look() {
        Ok(detail) => (Status::Available, detail),
        Err((status, error)) => (status, error.to_string()),
    };
    Finding {
        name: "history".into(),
        status,
        detail,
        remedy: None,
    }
}

fn look() -> Result<String, (Status, StoreError)> {
    let missing = |e| (Status::Missing, e);
    let dir = state_dir().map_err(missing)?;
    let tasks = match Store::open_read_only(&dir) {
        Ok(store) => store
            .history(&HistoryFilter::default())
            .map_err(missing)?
            .len(),
        Err(error @ StoreError::Absent { .. }) => return Ok(error.to_string()),
        Err(error) => return Err(missing(error)),
    };
    let store = Store::open(&dir).map_err(|e| (Status::Limited, e))?;
    Ok(format!("{} with {tasks} tasks", store.path().display()))
}
