//! What processes and the machine have used, from /proc. Ticks are hundredths of a second and pages
//! have 4 KiB, as everywhere on Linux but for the rarest kernels.

use std::{collections::HashMap, fs};

const TICKS: f64 = 100.0;
const PAGE_KIB: u64 = 4;

#[derive(Default)]
pub struct Usage {
    /// Seconds, in user and kernel mode, with those of children that have ended.
    pub cpu: f64,
    pub resident_kib: u64,
}

/// Of a process and all its descendants.
pub fn usage(root: u32) -> Usage {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut processes: HashMap<u32, Usage> = HashMap::new();
    for entry in fs::read_dir("/proc").expect("there is a /proc").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name before it may have anything in it.
        let Some((_, fields)) = text.rsplit_once(") ") else { continue };
        let numbers: Vec<u64> =
            fields.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
        let [parent, times @ .., resident] =
            [1, 11, 12, 13, 14, 21].map(|n| numbers.get(n).copied().unwrap_or(0));
        children.entry(parent as u32).or_default().push(pid);
        let usage = Usage {
            cpu: times.iter().sum::<u64>() as f64 / TICKS,
            resident_kib: resident * PAGE_KIB,
        };
        processes.insert(pid, usage);
    }
    let mut sum = Usage::default();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        if let Some(usage) = processes.get(&pid) {
            sum.cpu += usage.cpu;
            sum.resident_kib += usage.resident_kib;
        }
        next.extend(children.get(&pid).into_iter().flatten());
    }
    sum
}

/// Seconds of all cores that were busy, and that the hypervisor gave to others.
pub fn machine() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").expect("there is a /proc");
    let first = text.lines().next().unwrap_or_default();
    let seconds: Vec<f64> = first
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse::<f64>().expect("a number of ticks") / TICKS)
        .collect();
    match seconds[..] {
        [user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen, ..] => {
            (user + nice + system + interrupts + soft_interrupts, stolen)
        }
        _ => panic!("/proc/stat has {} figures in its first line", seconds.len()),
    }
}
