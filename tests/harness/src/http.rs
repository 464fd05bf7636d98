//! Questions to the HTTP server of a host on this machine.

use std::time::Duration;

use ureq::Agent;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Status and body of the answer to `GET path`. `None`: nobody answers.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .build();
    let mut answer = Agent::new_with_config(config)
        .get(format!("http://127.0.0.1:{port}{path}"))
        .header("Connection", "close")
        .call()
        .ok()?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_string().ok()?;
    Some((status, body))
}
