//! Prints what this machine offers: `cargo run --example doctor`.

use foreshadow_environment::Host;

fn main() {
    for finding in Host::detect().findings() {
        println!(
            "{:24} {:?}: {}",
            finding.name, finding.status, finding.detail
        );
        if let Some(remedy) = finding.remedy {
            println!("{:24} → {remedy}", "");
        }
    }
}
