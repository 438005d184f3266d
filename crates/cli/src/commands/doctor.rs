use foreshadow_environment::isolation::{IsolationKind, Sandbox};
use foreshadow_environment::{Finding, Host, Status};
use foreshadow_store::{HistoryFilter, Store, StoreError, state_dir};
use serde::Serialize;

use crate::args::DoctorArguments;
use crate::failure::Failure;
use crate::term::Style;
use crate::{output, render};

pub(super) fn execute(arguments: &DoctorArguments) -> Result<(), Failure> {
    let mut findings = Host::detect().findings();
    findings.push(isolation());
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

/// Whether shadows can be isolated here, found out by isolating one.
fn isolation() -> Finding {
    let (status, detail) = match Sandbox::probe() {
        Ok(IsolationKind::Root) => (
            Status::Available,
            "by namespaces and an overlay over each file system".to_owned(),
        ),
        Ok(IsolationKind::UserNamespace) => (
            Status::Available,
            "in a user namespace; inputs are found from the command line only, for opened files \
             can be watched by root alone"
                .to_owned(),
        ),
        Err(error) => (
            Status::Missing,
            format!("{error}. Without it, predictions come from earlier runs alone"),
        ),
    };
    Finding {
        name: "isolation of shadows".into(),
        status,
        detail,
        remedy: None,
    }
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
