use foreshadow_replay::{methods::*, parse, *};
use std::collections::BTreeMap;
struct S {
    m: Vec<Score>,
    p: BTreeMap<u32, Vec<Score>>,
}
impl Sink for S {
    fn scored(&mut self, s: &Scored<'_>) {
        let (p, m, s) = (s.task.process, s.method, &s.score);
        self.m[m].add(s);
        let n = self.m.len();
        self.p.entry(p).or_insert_with(|| vec![Score::default(); n])[m].add(s);
    }
    fn done(&mut self, _p: u32, _l: &LastSeen) {}
}
fn main() {
    let verbose = std::env::var("V").is_ok();
    let target = std::env::var("TARGET").unwrap_or("rss".into());
    let order = std::env::var("ORDER").is_ok();
    let names: Vec<Name> = if std::env::var("ALL").is_ok() {
        let mut n = Name::USUAL.to_vec();
        n.push(Name::WittRegression);
        n
    } else {
        vec![Name::Foreshadow]
    };
    let sizey = [(1843.0, 187.0), (48.6, 73.0), (84.2, 311.0)];
    let mut geo = 1.0f64;
    for (t, f) in ["eager", "rnaseq", "chipseq"].iter().enumerate() {
        let mut tot = vec![Score::default(); names.len()];
        let mut pp: BTreeMap<String, Vec<Score>> = BTreeMap::new();
        let seeds: Vec<u64> = if order {
            vec![0]
        } else {
            (1996..2001).collect()
        };
        for seed in &seeds {
            let file = std::fs::File::open(format!("/work/shared/traces/nfcore_{f}.csv")).unwrap();
            let mut trace = parse::read(file, &parse::Columns { format: None, features: vec!["rchar".into()], target: Some(target.clone()), prefer_rss: false }).unwrap();
            let mut s = S { m: vec![Score::default(); names.len()], p: BTreeMap::new() };
            let proto = if order { Protocol { shuffle: None, warmup: 0.0, least_tasks: 1, whole_processes: false } } else { Protocol { shuffle: Some(*seed), warmup: 0.3, least_tasks: 34, whole_processes: true } };
            simulate(&mut trace, &proto, &names, &Limits { node: 128e9, unknown: 1.074e9 }, &mut s);
            for (a, b) in tot.iter_mut().zip(&s.m) { a.add(b); }
            for (p, v) in s.p {
                let e = pp
                    .entry(trace.processes[p as usize].clone())
                    .or_insert_with(|| vec![Score::default(); names.len()]);
                for (a, b) in e.iter_mut().zip(&v) {
                    a.add(b);
                }
            }
        }
        let k = seeds.len() as f64;
        for (n, s) in names.iter().zip(&tot) {
            println!(
                "{f:8} {n:12} waste {:8.1} fail {:6.1} (retried {:6.1}) tasks {} c80 {:.3} c95 {:.3}",
                s.waste / 3.6e12 / k,
                s.failures as f64 / k,
                s.retried / 3.6e12 / k,
                s.tasks,
                s.in_p80 as f64 / s.judged.max(1) as f64,
                s.in_p95 as f64 / s.judged.max(1) as f64
            );
            if *n == Name::Foreshadow {
                geo *= s.waste / 3.6e12 / k / sizey[t].0;
                let _ = sizey[t].1;
            }
        }
        if verbose {
            let mut v: Vec<_> = pp.into_iter().collect();
            v.sort_by(|a, b| {
                b.1.last()
                    .unwrap()
                    .waste
                    .total_cmp(&a.1.last().unwrap().waste)
            });
            for (p, s) in v.iter().take(12) {
                let p: String = p
                    .chars()
                    .rev()
                    .take(40)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .collect();
                print!("    {p:40}");
                for s in s {
                    print!(
                        " {:8.2}/{:4.1} c80 {:.2} c95 {:.2}",
                        s.waste / 3.6e12 / k,
                        s.failures as f64 / k,
                        s.in_p80 as f64 / s.judged.max(1) as f64,
                        s.in_p95 as f64 / s.judged.max(1) as f64
                    );
                }
                println!();
            }
        }
    }
    println!("GEO {:.3}", geo.powf(1.0 / 3.0));
}
