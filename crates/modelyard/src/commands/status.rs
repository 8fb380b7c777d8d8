//! `modelyard status`

use std::{fmt::Write as _, time::Duration};

use adapters::client::GatewayClient;
use serde_json::{Value, json};

use super::{Surroundings, client_runtime, output, server_of};
use crate::{cli::StatusArgs, failure::Failure, running::Server};

/// Exit status where no server runs, as init scripts have it.
const NONE_RUNS: u8 = 3;

pub(super) fn run(args: &StatusArgs, around: &Surroundings) -> Result<(), Failure> {
    let (settings, found) = server_of(&args.server, around)?;
    let Some(server) = found else {
        if args.json {
            output::print_value(&json!({ "running": false }))?;
        }
        let folder = settings.data_dir.display();
        return Err(Failure::new(format!("no server runs on {folder}"))
            .hint("`modelyard up` starts one")
            .with_status(NONE_RUNS));
    };
    let health = match server.url() {
        Some(url) => client_runtime()?.block_on(health(&url)),
        None => Err("it listens on no port that could be asked".to_owned()),
    };
    if args.json {
        let health = health.clone().unwrap_or_else(|reason| json!({ "unreachable": reason }));
        let seconds = server.uptime().as_secs();
        output::print_value(&json!({
            "running": true, "pid": server.pid, "uptime_seconds": seconds,
            "addresses": server.addresses, "log": server.log, "health": health,
        }))?;
    } else {
        output::print(told(&server, &health).as_bytes())?;
    }
    match health {
        Ok(_) => Ok(()),
        Err(reason) => Err(Failure::new(format!("the server is not ready: {reason}"))
            .hint("`modelyard logs` may say why")),
    }
}

/// What `/health` says; an error while it is not ready.
async fn health(url: &str) -> Result<Value, String> {
    let client = GatewayClient::new(url).map_err(|error| error.to_string())?;
    let asked = tokio::time::timeout(Duration::from_secs(5), client.get("/health/ready")).await;
    asked.map_err(|_| "it does not answer".to_owned())?.map_err(|error| error.to_string())
}

/// It for a person.
fn told(server: &Server, health: &Result<Value, String>) -> String {
    let mut text = format!(
        "process   {}, for {}\naddress   {}\n",
        server.pid,
        span(server.uptime()),
        server.url().unwrap_or_else(|| server.addresses.join(", ")),
    );
    if let Some(log) = &server.log {
        let _ = writeln!(text, "log       {}", log.display());
    }
    let Ok(health) = health else { return text };
    let word = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let _ = writeln!(text, "health    {}", word(health, "status"));
    let models = health["checks"]["models"].as_object();
    for (name, model) in models.into_iter().flatten() {
        let parts = [word(model, "status"), word(model, "reason")];
        let told = parts.join(": ");
        let _ = writeln!(text, "model     {name} is {}", told.trim_end_matches(": "));
    }
    text
}

/// A time as a person says it.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_its_two_largest_parts() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(told(7), "7 s");
        assert_eq!(told(67), "1 min 7 s");
        assert_eq!(told(3600 * 5 + 61), "5 h 1 min");
        assert_eq!(told(86_400 * 3 + 3600 * 2), "3 d 2 h");
    }
}
