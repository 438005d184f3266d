//! A run inside what was predicted.

use foreshadow_environment::Exit;
use foreshadow_quantity::Bytes;
use foreshadow_shadow::Vary;
use foreshadow_store::{
    Actuals, AdjustmentRecord, Cause, End, FinishTask, NewTask, StoreError, TaskId,
};

use crate::contract::{Actual, CauseOfDeath, CommandLine, Outcome, OutcomeSchema, Reservation};
use crate::error::EngineError;
use crate::predict::{Made, Session};
use crate::primary::{self, Finished, Start};
use crate::request::{Progress, RunRequest};

impl Session<'_> {
    /// Predicts, runs the command inside the prediction, and records what it used.
    pub fn run(
        &self,
        request: &RunRequest,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, EngineError> {
        // With both limits given there is nothing that a shadow would have to find out.
        let shadows = request.predict && !(request.memory.is_some() && request.cores.is_some());
        let made = self.predict(&request.task, shadows, progress)?;
        let predicted = made.document.abstained.is_none();
        if let Some(why) = made.document.abstained.as_ref().filter(|_| shadows) {
            progress(Progress::Note(format!("no prediction: {why}")));
        }
        let recommended = made.document.recommend;
        let start = Start {
            memory: request
                .memory
                .or(recommended.memory_bytes.filter(|_| request.predict)),
            cores: request
                .cores
                .or(recommended.cores.filter(|_| request.predict)),
            strict: request.strict,
        };
        let task = self.begin(request, &made, progress);
        self.keep_for_run(&made, task.as_ref(), progress);
        let (argv, _) = Vary::apply(&request.task.vary, &request.task.argv, 1.0);
        let finished = primary::run(
            self.host,
            self.signals,
            (argv, request.task.env.clone(), request.task.cwd.clone()),
            start,
            progress,
        )?;
        self.finish(task.as_ref(), &finished, progress);
        Ok(Outcome {
            schema: OutcomeSchema,
            task_id: task.map_or_else(|| TaskId::new().to_string(), |t| t.to_string()),
            command: CommandLine::new(&request.task.argv),
            exit_code: match finished.exit {
                Exit::Code(code) => Some(code),
                Exit::Signal(_) => None,
            },
            signal: match finished.exit {
                Exit::Code(_) => None,
                Exit::Signal(signal) => Some(signal),
            },
            cause_of_death: finished.cause_of_death,
            prediction: (request.predict && predicted).then_some(made.document),
            reservation: Some(Reservation {
                memory_bytes: finished.start.memory,
                cores: finished.start.cores,
                time_limit_seconds: None,
            }),
            actual: actual(&finished),
            adjustments: finished.adjustments,
            alerts: Vec::new(),
        })
    }

    fn begin(
        &self,
        request: &RunRequest,
        made: &Made,
        progress: &mut dyn FnMut(Progress),
    ) -> Option<TaskId> {
        let begun = self.store?.begin_task(&NewTask {
            signature: made.signature.clone(),
            argv: request.task.argv.clone(),
            cwd: request.task.cwd.clone(),
            machine: made.machine.clone(),
            input_bytes: made.input_bytes,
            features: made.features.clone(),
        });
        self.noted(begun, progress)
    }

    fn keep_for_run(&self, made: &Made, task: Option<&TaskId>, progress: &mut dyn FnMut(Progress)) {
        if made.document.abstained.is_none() {
            self.keep(made, task, progress);
        }
    }

    fn finish(
        &self,
        task: Option<&TaskId>,
        finished: &Finished,
        progress: &mut dyn FnMut(Progress),
    ) {
        let (Some(store), Some(task)) = (self.store, task) else {
            return;
        };
        let actual = actual(finished);
        let done = store.finish_task(
            task,
            &FinishTask {
                end: match finished.exit {
                    Exit::Code(code) => End::Code(code),
                    Exit::Signal(signal) => End::Signal(signal),
                },
                cause: finished.cause_of_death.map(|cause| match cause {
                    CauseOfDeath::OomCgroup => Cause::OomCgroup,
                    CauseOfDeath::OomHost => Cause::OomHost,
                    CauseOfDeath::Limit => Cause::Limit,
                    CauseOfDeath::Signal => Cause::Signal,
                }),
                actuals: Actuals {
                    peak_memory_bytes: actual.peak_memory_bytes,
                    page_cache_peak_bytes: actual.page_cache_peak_bytes,
                    cpu_seconds: actual.cpu_seconds,
                    wall_seconds: actual.wall_seconds,
                    read_bytes: actual.read_bytes,
                    write_bytes: actual.write_bytes,
                    network_bytes: actual.network_bytes,
                    major_faults: actual.major_faults,
                    cpu_pressure_seconds: actual.cpu_pressure_seconds,
                    memory_pressure_seconds: actual.memory_pressure_seconds,
                    io_pressure_seconds: actual.io_pressure_seconds,
                },
                adjustments: finished
                    .adjustments
                    .iter()
                    .map(|a| AdjustmentRecord {
                        at_seconds: a.at_seconds,
                        resource: a.resource.clone(),
                        from: a.from,
                        to: a.to,
                        reason: a.reason.clone(),
                    })
                    .collect(),
            },
        );
        self.noted(done, progress);
    }

    /// A history that can't be written stops no run; it is said.
    fn noted<T>(
        &self,
        result: Result<T, StoreError>,
        progress: &mut dyn FnMut(Progress),
    ) -> Option<T> {
        result
            .map_err(|e| progress(Progress::Note(format!("this run is not recorded: {e}"))))
            .ok()
    }
}

fn actual(finished: &Finished) -> Actual {
    let recording = &finished.recording;
    let seconds = |d: std::time::Duration| d.as_secs_f64();
    Actual {
        // Nothing at all was seen of a command that ended at once.
        peak_memory_bytes: Some(recording.peak_memory).filter(|&peak| peak > Bytes::ZERO),
        page_cache_peak_bytes: recording.page_cache_peak,
        cpu_seconds: Some(seconds(recording.cpu)),
        wall_seconds: Some(seconds(recording.wall)),
        read_bytes: recording.disk_read(),
        // What was handed to write calls, as predicted: what reaches the disk may come later, or
        // never.
        write_bytes: recording
            .totals
            .and_then(|t| t.write_chars)
            .or(recording.usage.disk_written),
        network_bytes: recording.network,
        major_faults: recording.major_faults(),
        cpu_pressure_seconds: recording.pressure.map(|p| seconds(p.cpu)),
        memory_pressure_seconds: recording.pressure.map(|p| seconds(p.memory)),
        io_pressure_seconds: recording.pressure.map(|p| seconds(p.io)),
    }
}
