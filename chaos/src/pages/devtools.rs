use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tungstenite::{Message, WebSocket};

/// A command of the browser takes milliseconds, a picture of a long page a second or two; this is a hang.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// What is waited for in the page comes within a second or two; a busy machine gets ten times as much.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the page is asked whether what is waited for has come.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One tab, driven over the Chrome DevTools Protocol
/// (<https://chromedevtools.github.io/devtools-protocol/>), and what it complained of so far.
pub struct Tab {
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last_id: u64,
    /// Documents that were loaded to their end.
    loads: u64,
    complaints: Vec<String>,
    /// Set by a signal: the browser has to be ended before this program may end.
    stop: Arc<AtomicBool>,
}

impl Tab {
    /// Opens a tab in the browser that listens there.
    pub fn open(port: u16, path: &str) -> Result<Tab, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("the browser's port: {error}"))?;
        stream.set_read_timeout(Some(LOOK_EVERY)).map_err(|error| format!("the browser's socket: {error}"))?;
        let socket = connect(&format!("ws://127.0.0.1:{port}{path}"), stream)?;
        let mut tab = Tab { socket, session: None, last_id: 0, loads: 0, complaints: Vec::new(), stop: stop_signal() };
        let target = tab.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = tab.call("Target.attachToTarget", attach)?;
        tab.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            tab.call(domain, json!({}))?;
        }
        Ok(tab)
    }

    /// Sends one command and returns its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        let sent = self.socket.send(Message::text(command.to_string()));
        sent.map_err(|error| format!("{method}: the browser is gone: {error}"))?;
        let deadline = Instant::now() + CALL_TIMEOUT;
        while Instant::now() < deadline {
            let Some(message) = self.receive()? else { continue };
            if message["id"] != self.last_id {
                continue;
            }
            return match &message["error"] {
                Value::Null => Ok(message["result"].clone()),
                error => Err(format!("{method}: {error}")),
            };
        }
        Err(format!("{method}: no answer within {} s", CALL_TIMEOUT.as_secs()))
    }

    /// The value of an expression in the page; promises are awaited.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", parameters)?;
        match &answer["exceptionDetails"] {
            Value::Null => Ok(answer["result"]["value"].clone()),
            thrown => Err(format!("`{expression}` threw {}", thrown["exception"]["description"])),
        }
    }

    /// Waits until an expression is truthy and returns its value; `what` says in words what is waited for.
    pub fn wait_for(&mut self, what: &str, expression: &str) -> Result<Value, String> {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            let value = self.evaluate(expression)?;
            if !matches!(value, Value::Null | Value::Bool(false)) && value != "" && value != 0 {
                return Ok(value);
            }
            if Instant::now() >= deadline {
                return Err(format!("{what} did not come within {} s", WAIT_TIMEOUT.as_secs()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Leads the tab to an address, also where only its fragment is new.
    pub fn navigate(&mut self, address: &str) -> Result<(), String> {
        for stop in ["about:blank", address] {
            let before = self.loads;
            let answer = self.call("Page.navigate", json!({"url": stop}))?;
            if let Some(error) = answer["errorText"].as_str() {
                return Err(format!("the page does not load: {error}"));
            }
            self.wait_for_load(before)?;
        }
        Ok(())
    }

    /// Loads the page again.
    pub fn reload(&mut self) -> Result<(), String> {
        let before = self.loads;
        self.call("Page.reload", json!({}))?;
        self.wait_for_load(before)
    }

    /// An expression that is sent to a document on its way out may never be answered, so the next one is waited for.
    fn wait_for_load(&mut self, before: u64) -> Result<(), String> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        while self.loads == before {
            if Instant::now() >= deadline {
                return Err(format!("the page did not load within {} s", CALL_TIMEOUT.as_secs()));
            }
            self.receive()?;
        }
        Ok(())
    }

    /// Presses the mouse button in the middle of the element of this selector, as a person would.
    pub fn click(&mut self, selector: &str) -> Result<(), String> {
        let place = format!(
            "(() => {{ const node = document.querySelector({selector:?}); if (!node) return null;
              node.scrollIntoView({{block: 'center', behavior: 'instant'}}); const box = node.getBoundingClientRect();
              return box.width > 0 && !node.disabled ? [box.x + box.width / 2, box.y + box.height / 2] : null; }})()"
        );
        let middle = self.wait_for(&format!("a usable {selector}"), &place)?;
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let event = json!({"type": kind, "x": middle[0], "y": middle[1], "button": "left", "buttons": buttons, "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// Errors of the console and of scripts since the last call.
    pub fn take_complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// The next message, or none when there is none for a moment. What events tell is kept.
    fn receive(&mut self) -> Result<Option<Value>, String> {
        if self.stop.load(Ordering::Relaxed) {
            return Err("stopped by a signal".to_owned());
        }
        let message: Value = match self.socket.read() {
            Ok(Message::Text(text)) => {
                serde_json::from_str(text.as_str()).map_err(|error| format!("the browser's word: {error}"))?
            }
            Ok(_) => return Ok(None),
            Err(tungstenite::Error::Io(error)) if is_silence(&error) => return Ok(None),
            Err(error) => return Err(format!("the browser is gone: {error}")),
        };
        self.loads += u64::from(message["method"] == "Page.loadEventFired");
        self.complaints.extend(complaint(&message));
        Ok(Some(message))
    }
}

fn stop_signal() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // Without the handler a stop leaves a browser behind: no reason not to run.
        let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
    }
    stop
}

fn connect(address: &str, stream: TcpStream) -> Result<WebSocket<TcpStream>, String> {
    let deadline = Instant::now() + CALL_TIMEOUT;
    let mut attempt = tungstenite::client(address, stream);
    loop {
        match attempt {
            Ok((socket, _)) => return Ok(socket),
            Err(tungstenite::HandshakeError::Interrupted(rest)) if Instant::now() < deadline => {
                attempt = rest.handshake()
            }
            Err(error) => return Err(format!("the browser does not speak: {error}")),
        }
    }
}

fn is_silence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// What an event complains of, if it does. A refused click is an answer of the platform and not an error of the page,
/// though the browser logs every status from 400 on.
fn complaint(event: &Value) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => {
            let details = &parameters["exceptionDetails"];
            Some(format!("exception: {} {}", details["text"], details["exception"]["description"]))
        }
        "Runtime.consoleAPICalled" if parameters["type"] == "error" || parameters["type"] == "assert" => {
            Some(format!("console: {}", parameters["args"]))
        }
        "Log.entryAdded" => {
            let entry = &parameters["entry"];
            let refusal = entry["text"].as_str().is_some_and(|text| text.contains("responded with a status of 4"))
                && entry["url"].as_str().is_some_and(|url| url.contains("/v1/"));
            let told = entry["level"] == "error" && !refusal;
            told.then(|| format!("log: {} {}", entry["text"], entry["url"]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(level: &str, text: &str, url: &str) -> Value {
        json!({"method": "Log.entryAdded", "params": {"entry": {"level": level, "text": text, "url": url}}})
    }

    #[test]
    fn a_refused_click_is_no_error_of_the_page_and_a_missing_script_is() {
        let text = "Failed to load resource: the server responded with a status of 409 (Conflict)";
        assert_eq!(complaint(&entry("error", text, "http://x/v1/sales/demo/reservations")), None);
        let text = "Failed to load resource: the server responded with a status of 404 (Not Found)";
        assert!(complaint(&entry("error", text, "http://x/assets/console.js")).unwrap().contains("404"));
        let text = "Failed to load resource: the server responded with a status of 500 (Internal Server Error)";
        assert!(complaint(&entry("error", text, "http://x/v1/live")).is_some());
        assert_eq!(complaint(&entry("info", "hello", "http://x/")), None);
    }

    #[test]
    fn exceptions_and_console_errors_are_told() {
        let thrown = json!({"method": "Runtime.exceptionThrown", "params": {"exceptionDetails":
            {"text": "Uncaught", "exception": {"description": "TypeError: x"}}}});
        assert!(complaint(&thrown).unwrap().contains("TypeError: x"));
        let said = |kind: &str| json!({"method": "Runtime.consoleAPICalled", "params": {"type": kind, "args": []}});
        assert!(complaint(&said("error")).is_some());
        assert_eq!(complaint(&said("log")), None);
    }
}
