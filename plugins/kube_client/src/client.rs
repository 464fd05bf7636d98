//! One call of the API.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::tls::{parse_pem, PemItem, RootCerts, TlsConfig};
use ureq::Agent;

use crate::read_file;

/// Largest answer that is read.
const MAX_BODY: u64 = 4 << 20;

/// Limit for finding the server's address, and for connecting to it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a call brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The token or the CA file cannot be used.
    Credentials(String),
    /// 401: the token is read again before the next call.
    Unauthorized,
    /// 403: the service account may not read this object.
    Forbidden,
    /// 404
    NotFound,
    /// 429, with the time the server asks for.
    TooMany(Option<Duration>),
    /// Any other status than 200.
    Status(u16),
    /// No answer in time.
    Timeout,
    /// Connection or TLS.
    Connection(String),
    /// More than 4 MiB.
    TooLarge,
    /// The answer is no such object.
    Malformed(String),
    /// The object has another UID: a pod of the same name before or after this one.
    OtherPod,
    /// The plugin ends.
    Interrupted,
}

impl Failure {
    /// All reasons, for the counters.
    pub const REASONS: &'static [&'static str] = &[
        "credentials",
        "unauthorized",
        "forbidden",
        "not_found",
        "too_many_requests",
        "status",
        "timeout",
        "connection",
        "too_large",
        "malformed",
        "other_pod",
    ];

    /// The reason as a word.
    pub fn reason(&self) -> &'static str {
        match self {
            Failure::Credentials(_) => "credentials",
            Failure::Unauthorized => "unauthorized",
            Failure::Forbidden => "forbidden",
            Failure::NotFound => "not_found",
            Failure::TooMany(_) => "too_many_requests",
            Failure::Status(_) => "status",
            Failure::Timeout => "timeout",
            Failure::Connection(_) => "connection",
            Failure::TooLarge => "too_large",
            Failure::Malformed(_) => "malformed",
            Failure::OtherPod => "other_pod",
            Failure::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Credentials(reason) | Failure::Connection(reason) => f.write_str(reason),
            Failure::Unauthorized => f.write_str("status 401, the token is not accepted"),
            Failure::Forbidden => {
                f.write_str("status 403, the service account needs a Role that allows get")
            }
            Failure::NotFound => f.write_str("status 404, there is no such object"),
            Failure::TooMany(_) => f.write_str("status 429, too many calls"),
            Failure::Status(status) => write!(f, "status {status}"),
            Failure::Timeout => f.write_str("no answer in time"),
            Failure::TooLarge => f.write_str("the answer is larger than 4 MiB"),
            Failure::Malformed(reason) => write!(f, "the answer cannot be read: {reason}"),
            Failure::OtherPod => f.write_str("the object is another pod's, its UID differs"),
            Failure::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// Where the API is.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// As [`crate::url`] gives it.
    pub url: String,
    /// Certificates of the API's authority, PEM.
    pub ca_file: PathBuf,
    /// The service account's token.
    pub token_file: PathBuf,
    /// Check the API's certificate and name.
    pub verify: bool,
    /// Limit of a whole call.
    pub timeout: Duration,
}

impl ClientOptions {
    /// What gives the token to somebody else than the API, if anything does.
    fn risk(&self) -> Option<&'static str> {
        if self.url.starts_with("http:") {
            Some("the token of the service account goes over a connection without TLS, readable for anybody on the way")
        } else if !self.verify {
            Some("tls.verify is off, so the token of the service account goes to whoever answers")
        } else {
            None
        }
    }
}

/// Breaks off a call that is under way.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Mutex<(bool, Option<Agent>)>>);

impl Interrupt {
    /// Ends the call that is under way and prevents others.
    pub fn interrupt(&self) {
        let agent = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = true;
            state.1.take()
        };
        if let Some(agent) = agent {
            agent.shutdown();
        }
    }

    fn is_set(&self) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0
    }

    /// Takes note of the agent that calls; `false`: no more calls.
    fn set(&self, agent: &Agent) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = Some(agent.clone());
        !state.0
    }
}

/// Calls the API.
///
/// Token and CA file are read before each call: there is at most one in ten seconds, so nothing
/// is gained by keeping them, and a rotated one is always used.
pub struct Client {
    options: ClientOptions,
    interrupt: Interrupt,
    agent: Option<(Vec<u8>, Agent)>,
}

impl Client {
    /// Calls nothing yet.
    pub fn new(options: &ClientOptions) -> Self {
        if let Some(risk) = options.risk() {
            tracing::warn!("{}: {risk}", options.url);
        }
        Client {
            options: options.clone(),
            interrupt: Interrupt::default(),
            agent: None,
        }
    }

    /// Ends the call that is under way, from another thread.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// The body of the answer to `GET <path>`.
    ///
    /// # Errors
    /// No answer, or another status than 200.
    pub fn get(&mut self, path: &str) -> Result<Vec<u8>, Failure> {
        let answer = self.call(path);
        // A call that was broken off looks like a server that went away.
        if answer.is_err() && self.interrupt.is_set() {
            return Err(Failure::Interrupted);
        }
        answer
    }

    fn call(&mut self, path: &str) -> Result<Vec<u8>, Failure> {
        let token = self.token()?;
        let agent = self.agent()?;
        if !self.interrupt.set(&agent) {
            return Err(Failure::Interrupted);
        }
        let answer = agent
            .get(format!("{}{path}", self.options.url))
            .header("Authorization", format!("Bearer {token}"))
            .header("Accept", "application/json")
            .call()
            .map_err(|error| failure(&error))?;
        let status = answer.status().as_u16();
        match status {
            200 => answer
                .into_body()
                .into_with_config()
                .limit(MAX_BODY)
                .read_to_vec()
                .map_err(|error| failure(&error)),
            401 => Err(Failure::Unauthorized),
            403 => Err(Failure::Forbidden),
            404 => Err(Failure::NotFound),
            429 => {
                let after = answer.headers().get("retry-after");
                let seconds = after.and_then(|value| value.to_str().ok()?.parse().ok());
                // A server may not silence a plugin for longer than its own longest wait.
                let seconds = seconds.map(|seconds: u64| seconds.min(300));
                Err(Failure::TooMany(seconds.map(Duration::from_secs)))
            }
            other => Err(Failure::Status(other)),
        }
    }

    fn token(&self) -> Result<String, Failure> {
        let shown = self.options.token_file.display();
        let bytes = read_file(&self.options.token_file)
            .map_err(|error| Failure::Credentials(format!("{shown}: {error}")))?;
        let token = std::str::from_utf8(&bytes).unwrap_or_default().trim();
        let allowed = |b: u8| b.is_ascii_graphic();
        if token.is_empty() || !token.bytes().all(allowed) {
            return Err(Failure::Credentials(format!("{shown} holds no token")));
        }
        Ok(token.to_owned())
    }

    fn agent(&mut self) -> Result<Agent, Failure> {
        let mut ca = Vec::new();
        if self.options.verify && self.options.url.starts_with("https:") {
            ca = read_file(&self.options.ca_file).map_err(|error| {
                Failure::Credentials(format!("{}: {error}", self.options.ca_file.display()))
            })?;
        }
        if let Some((_, agent)) = self.agent.as_ref().filter(|(known, _)| *known == ca) {
            return Ok(agent.clone());
        }
        let certificates: Vec<_> = parse_pem(&ca)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&certificates))
            .disable_verification(!self.options.verify)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        // No proxy: the API is in the cluster. No redirects: the token is for this server.
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .user_agent(concat!("flb-sidecar/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(self.options.timeout))
            .build();
        let agent = config.new_agent();
        self.agent = Some((ca, agent.clone()));
        Ok(agent)
    }
}

fn failure(error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::Timeout(_) => Failure::Timeout,
        ureq::Error::Io(io) if io.kind() == io::ErrorKind::TimedOut => Failure::Timeout,
        ureq::Error::BodyExceedsLimit(_) => Failure::TooLarge,
        other => Failure::Connection(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_for_anybody_on_the_way_is_a_risk() {
        for (url, verify, risk) in [
            ("https://api", true, None),
            ("https://api", false, Some("tls.verify")),
            ("http://api", true, Some("without TLS")),
            ("http://api", false, Some("without TLS")),
        ] {
            let options = ClientOptions {
                url: url.to_owned(),
                ca_file: PathBuf::new(),
                token_file: PathBuf::new(),
                verify,
                timeout: Duration::ZERO,
            };
            let said = options.risk();
            assert_eq!(said.is_some(), risk.is_some(), "{url} {verify}");
            assert!(said.unwrap_or_default().contains(risk.unwrap_or_default()));
        }
    }
}
