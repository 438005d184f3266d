//! From recordings and the past to a forecast: pure.

use foreshadow_prediction::Predictive;
use foreshadow_prediction::cost::{CostModel, recommend};
use foreshadow_prediction::extrapolation::{self, Extrapolated, Point, Rung};
use foreshadow_quantity::{Bytes, Cores};
use foreshadow_shadow as shadow;
use foreshadow_store::Features;

use crate::contract::{Levels, Recommend, Resources};
use crate::past::{Past, Quantity, blend};

/// What there is to predict from.
pub(crate) struct Evidence<'a> {
    /// The shadows that can be learned from; empty where there are none.
    pub rungs: &'a [shadow::Rung],
    pub past: &'a Past,
    pub features: &'a Features,
    /// Stored size of all inputs, and the part of it that is not in the page cache.
    pub input_bytes: Option<(Bytes, Bytes)>,
    pub cpus: Cores,
    pub machine_memory: Bytes,
}

/// A forecast and the reasons for it.
#[derive(Debug)]
pub(crate) struct Forecast {
    pub resources: Resources,
    pub recommend: Recommend,
    pub explain: Vec<String>,
    /// The predictive distribution of peak memory.
    pub known: bool,
}

/// Peaks are rounded up to this.
const STEP: Bytes = Bytes::mib(1);
/// What a control group charges beyond a task's own pages: counts are batched per processor, and
/// page cache must have some room.
const OVERHEAD: Bytes = Bytes::mib(4);
/// A time limit is this much above the 99 % quantile.
const PATIENCE: f64 = 1.5;

pub(crate) fn forecast(evidence: &Evidence<'_>) -> Forecast {
    let rungs = rungs(evidence.rungs, evidence.cpus);
    let mut explain = Vec::new();
    let mut tell = |found: Option<&Extrapolated>| {
        for line in found.iter().flat_map(|f| &f.explain) {
            if !explain.contains(line) {
                explain.push(line.clone());
            }
        }
    };
    let memory = extrapolation::memory(&rungs, 1.0);
    let cpu = extrapolation::cpu(&rungs, 1.0);
    let wall = extrapolation::wall(&rungs, 1.0, evidence.cpus.as_f64());
    tell(memory.as_ref());
    tell(cpu.as_ref());
    tell(wall.as_ref());
    let mut past_says = Vec::new();
    let mut put_together = |quantity, shadow: Option<&Predictive>| -> Option<Predictive> {
        let blended = blend(&evidence.past.learn(quantity), evidence.features, shadow)?;
        if quantity == Quantity::PeakMemory || past_says.is_empty() {
            past_says = blended.explain;
        }
        Some(blended.predictive)
    };
    let memory = put_together(Quantity::PeakMemory, memory.as_ref().map(|e| &e.predictive));
    let cpu = put_together(Quantity::Cpu, cpu.as_ref().map(|e| &e.predictive));
    let wall = put_together(Quantity::Wall, wall.as_ref().map(|e| &e.predictive));
    let amount = |of: fn(&shadow::Rung) -> Option<Bytes>| {
        let points: Option<Vec<(f64, f64)>> = evidence
            .rungs
            .iter()
            .map(|r| Some((r.fraction?, of(r)?.as_f64())))
            .collect();
        extrapolation::amount(&points.filter(|p| !p.is_empty())?, 1.0)
    };
    let cache = put_together(
        Quantity::PageCache,
        amount(|r| r.run.recording.page_cache_peak).as_ref(),
    );
    let written = put_together(Quantity::Written, amount(written).as_ref());
    let read = put_together(Quantity::Read, reads(evidence).as_ref());
    let cores = cores(&rungs, cpu.as_ref(), wall.as_ref(), evidence.cpus);
    explain.extend(past_says);
    let levels = |p: &Predictive| Levels::from(&p.quantiles());
    Forecast {
        known: memory.is_some() || cpu.is_some(),
        recommend: Recommend {
            memory_bytes: memory
                .as_ref()
                .map(|m| memory_to_ask_for(m, evidence.machine_memory)),
            cores: cores.as_ref().map(|c| {
                let most = evidence.cpus.as_f64().max(1.0);
                // Less than one core saves nothing that a busy machine doesn't take anyway, and
                // holds a task back whenever it could go faster.
                Cores::from_f64((c.quantile(0.9) - 0.1).ceil().clamp(1.0, most))
            }),
            time_limit_seconds: wall
                .as_ref()
                .map(|w| (w.quantile(0.99) * PATIENCE).max(1.0).ceil()),
        },
        resources: Resources {
            peak_memory_bytes: memory.as_ref().map(|p| levels(p).whole()),
            cpu_seconds: cpu.as_ref().map(levels),
            wall_seconds: wall.as_ref().map(levels),
            cores: cores.as_ref().map(levels),
            read_bytes: read.as_ref().map(|p| levels(p).whole()),
            write_bytes: written.as_ref().map(|p| levels(p).whole()),
            page_cache_bytes: cache.as_ref().map(|p| levels(p).whole()),
            // A shadow without a network says nothing of what the task would send.
            network_bytes: None,
        },
        explain,
    }
}

/// The amount of least expected cost, with what the kernel charges on top.
fn memory_to_ask_for(memory: &Predictive, machine: Bytes) -> Bytes {
    let model = CostModel {
        // A killed task costs its whole run again, and somebody's patience.
        failure_penalty: 3.0,
        limit: Some(machine),
        ..CostModel::default()
    };
    let least = recommend(memory, &model).allocation;
    (least + OVERHEAD).round_up(STEP).min(machine)
}

/// What the extrapolation works with: the shadows of which it is known what part they did.
pub(crate) fn rungs(of: &[shadow::Rung], cpus: Cores) -> Vec<Rung> {
    of.iter()
        .filter_map(|one| rung(one, cpus))
        .flat_map(|rung| {
            if rung.complete {
                vec![rung]
            } else {
                extrapolation::beginnings(&rung)
            }
        })
        .collect()
}

/// A shadow's recording in the form of the extrapolation; `None` where it isn't known what part of
/// the work it did.
fn rung(of: &shadow::Rung, cpus: Cores) -> Option<Rung> {
    let recording = &of.run.recording;
    let wall = of.run.undisturbed(cpus.as_f64()).as_secs_f64();
    // Where in the run it waited for others isn't known: everywhere the same.
    let pace = wall / recording.wall.as_secs_f64().max(1e-9);
    let bytes = of.bytes.as_f64();
    let curve = recording
        .curve
        .samples()
        .iter()
        .map(|s| Point {
            at: s.at.as_secs_f64() * pace,
            cpu: s.cpu.as_secs_f64(),
            memory: s.memory.as_f64(),
            progress: if bytes > 0.0 {
                (s.progress.as_f64() / bytes).min(1.0)
            } else {
                0.0
            },
        })
        .collect();
    Some(Rung {
        size: of.fraction?,
        cpu: recording.cpu.as_secs_f64(),
        wall,
        memory: recording.peak_memory.as_f64(),
        threads: recording
            .curve
            .samples()
            .iter()
            // One is the sandbox's own first process.
            .map(|s| f64::from(s.threads.saturating_sub(1)))
            .fold(0.0, f64::max),
        parts: of.parts,
        complete: recording.exit.is_some(),
        curve,
    })
}

/// Bytes handed to write calls: what the run leaves in files or pipes.
fn written(rung: &shadow::Rung) -> Option<Bytes> {
    rung.run.recording.totals?.write_chars
}

/// Reads from storage: what isn't in the page cache is likely, all of the inputs possible.
fn reads(evidence: &Evidence<'_>) -> Option<Predictive> {
    let (all, cold) = evidence.input_bytes?;
    Predictive::from_weighted(vec![
        (cold.as_f64(), 0.85),
        (cold.as_f64() * 0.5, 0.05),
        (all.as_f64(), 0.1),
    ])
}

/// The cores that the command keeps busy.
fn cores(
    rungs: &[Rung],
    cpu: Option<&Predictive>,
    wall: Option<&Predictive>,
    cpus: Cores,
) -> Option<Predictive> {
    let most = cpus.as_f64().max(0.001);
    let mean = match (cpu, wall) {
        (Some(cpu), Some(wall)) if wall.quantile(0.5) > 0.0 => {
            Some((cpu.quantile(0.5) / wall.quantile(0.5)).min(most))
        }
        _ => None,
    };
    let busiest = rungs
        .iter()
        .max_by(|a, b| a.size.total_cmp(&b.size))
        .and_then(extrapolation::busiest_cores)
        .map(|b| b.min(most));
    match (mean, busiest) {
        (Some(mean), Some(busiest)) => {
            let high = busiest.max(mean);
            Predictive::from_weighted(vec![
                (mean.min(high), 0.15),
                (0.3 * mean + 0.7 * high, 0.2),
                (high, 0.6),
                ((high * 1.1).min(most), 0.05),
            ])
        }
        (Some(one), None) | (None, Some(one)) => Predictive::exactly(one),
        (None, None) => None,
    }
}
