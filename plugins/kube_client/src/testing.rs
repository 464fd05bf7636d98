//! A real TLS server on the loopback interface that plays the API and misbehaves on demand.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server does with one call.
#[derive(Clone, Debug)]
pub enum Act {
    /// This status and body.
    Answer(u16, String),
    /// A header and the status 429.
    Later(&'static str),
    /// Nothing, until the client goes away.
    Hang,
    /// The first bytes of a body, then the end.
    Die,
    /// The end before the handshake.
    Refuse,
}

/// An authority of its own for a test.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    /// Writes its certificate to `ca.crt` in `folder`.
    ///
    /// # Panics
    /// When there is no place for it.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.clone().self_signed(&key).unwrap();
        std::fs::write(folder.join("ca.crt"), certificate.pem()).unwrap();
        Authority { params, key }
    }

    /// A new certificate for 127.0.0.1.
    ///
    /// # Panics
    /// Never with the parameters used here.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let authority = self.params.clone().self_signed(&self.key).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &authority, &self.key)
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        Arc::new(config)
    }
}

/// What the server and the test share.
pub struct Shared {
    /// Certificate and key.
    pub tls: Arc<ServerConfig>,
    /// The token that is accepted.
    pub token: String,
    acts: VecDeque<Act>,
    body: String,
    /// Path and whether the token was right, of each call that got through.
    pub calls: Vec<(String, bool, Instant)>,
}

/// A listening server.
pub struct Server {
    /// As the clients want it.
    pub url: String,
    /// Its state.
    pub shared: Arc<Mutex<Shared>>,
}

impl Server {
    /// Listens on a free port and answers with `body` when no act is due.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(tls: Arc<ServerConfig>, token: &str, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            tls,
            token: token.to_owned(),
            acts: VecDeque::new(),
            body: body.to_owned(),
            calls: Vec::new(),
        }));
        let all = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = all.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Server { url, shared }
    }

    /// What it answers from now on when no act is due.
    pub fn set_body(&self, body: &str) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        body.clone_into(&mut shared.body);
    }

    /// What it does with the next calls.
    pub fn act(&self, acts: &[Act]) {
        self.shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .acts
            .extend(acts.iter().cloned());
    }

    /// How many calls got through.
    pub fn calls(&self) -> usize {
        self.shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .calls
            .len()
    }
}

fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> Option<()> {
    let (tls, token, act) = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let default = Act::Answer(200, shared.body.clone());
        let act = shared.acts.pop_front().unwrap_or(default);
        (shared.tls.clone(), shared.token.clone(), act)
    };
    if matches!(act, Act::Refuse) {
        shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .calls
            .push((String::new(), false, Instant::now()));
        return None;
    }
    let mut stream = StreamOwned::new(ServerConnection::new(tls).ok()?, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&request).to_lowercase();
    let path = text.split(' ').nth(1)?.to_owned();
    let authorized = text.contains(&format!("authorization: bearer {token}\r\n"));
    shared
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .calls
        .push((path.clone(), authorized, Instant::now()));
    let answer = |status: u16, headers: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
    };
    let text = match act {
        _ if !authorized => answer(401, "", "{}"),
        Act::Answer(status, body) => answer(status, "", &body),
        Act::Later(headers) => answer(429, headers, ""),
        Act::Hang => {
            let _ = stream.read(&mut [0; 16]);
            return None;
        }
        Act::Die => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"kind\":".to_owned(),
        Act::Refuse => return None,
    };
    stream.write_all(text.as_bytes()).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}
