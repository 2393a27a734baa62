//! Compute units of the programs' verbs, for `scripts/bench cu`.

use program_tests::cost::rows;
use serde_json::{Value, json};

fn main() {
    let rows = rows().into_iter().map(|row| {
        let against = row.limit.or(row.peer).map(|against| (100 * row.ours).div_ceil(against));
        json!({
            "what": row.what, "ours": row.ours, "peer": row.peer, "limit": row.limit, "unit": row.unit,
            // Two digits, rounded up.
            "ratio": against.map(|percent| f64::from(u32::try_from(percent).unwrap_or(u32::MAX)) / 100.0),
        })
    });
    let rows: Value = rows.collect();
    println!("{}", json!({ "name": "cu", "command": "scripts/bench cu", "rows": rows }));
}
