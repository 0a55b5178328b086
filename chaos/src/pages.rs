//! The pages that people see, tried in a real headless browser: loaded, read, clicked.
//!
//! Every wait has a bound, and the browser has a profile of its own and is ended with the run.

mod browser;
mod checks;
mod devtools;

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use serde_json::json;

use crate::platform::Platform;
use browser::Browser;
use checks::{CHECKS, Check, Needs};
use devtools::Tab;

/// What the pages are tried with.
pub struct Options {
    /// Where the platform is: scheme, host and port.
    pub url: String,
    /// A buyer's token. The buyer must not have bought in the first open sale: limits count him across runs.
    pub token: Option<String>,
    /// An operator's token.
    pub admin: Option<String>,
    /// Where pictures of the page are written.
    pub screenshots: Option<PathBuf>,
}

/// Widths and heights in pixels: a small phone, and a wide screen.
const SIZES: [(u32, u32); 2] = [(375, 812), (1600, 1000)];

/// Runs every check at every size. Prints a line for each; returns whether none failed.
pub fn run(options: &Options) -> Result<bool, String> {
    let program = browser::program().ok_or("no Chromium on the search path; the variable CHROMIUM may name one")?;
    let browser = Browser::start(&program)?;
    let mut tab = Tab::open(browser.port, &browser.path)?;
    let mut count = Count::default();
    for (width, height) in SIZES {
        resize(&mut tab, width, height)?;
        for check in CHECKS.iter().filter(|check| check.everywhere || width == SIZES[1].0) {
            let verdict = if has(options, check.needs) { Some(attempt(&mut tab, options, check)) } else { None };
            count.add(width, check, verdict);
        }
        if let Some(directory) = &options.screenshots {
            pictures(&mut tab, directory, width)?;
        }
    }
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    Ok(count.failed == 0)
}

/// The same with a platform of its own, and the tokens that it printed.
pub fn run_own(screenshots: Option<PathBuf>) -> Result<bool, String> {
    let directory = std::env::temp_dir().join(format!("doorbuster-pages-{}", std::process::id()));
    let platform = Platform::start(&directory)?;
    let (buyer, admin) = platform.tokens()?;
    let options = Options { url: platform.url(), token: Some(buyer), admin: Some(admin), screenshots };
    let good = run(&options)?;
    platform.stop()?;
    std::fs::remove_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(good)
}

#[derive(Default)]
struct Count {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Count {
    fn add(&mut self, width: u32, check: &Check, verdict: Option<Result<(), String>>) {
        let (counter, word, why) = match verdict {
            Some(Ok(())) => (&mut self.passed, "ok", String::new()),
            Some(Err(why)) => (&mut self.failed, "FAILED", format!(": {why}")),
            None => (&mut self.skipped, "skipped", ": no token was given for it".to_owned()),
        };
        *counter += 1;
        println!("{word:<8} {width:>4} px  {}{why}", check.name);
    }
}

fn has(options: &Options, needs: Needs) -> bool {
    match needs {
        Needs::Nobody | Needs::Anything => true,
        Needs::Buyer => options.token.is_some(),
        Needs::Operator => options.token.is_some() && options.admin.is_some(),
    }
}

/// Every check begins with a page that remembers nothing, and ends with a look at what the browser complained of.
fn attempt(tab: &mut Tab, options: &Options, check: &Check) -> Result<(), String> {
    open(tab, options, check.needs)?;
    tab.take_complaints();
    (check.run)(tab)?;
    let complaints = tab.take_complaints();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("; ")) }
}

fn open(tab: &mut Tab, options: &Options, needs: Needs) -> Result<(), String> {
    tab.call("Storage.clearDataForOrigin", json!({"origin": options.url, "storageTypes": "local_storage"}))?;
    let token = options.token.as_deref().filter(|_| needs != Needs::Nobody).map(|token| format!("token={token}"));
    let admin = options
        .admin
        .as_deref()
        .filter(|_| matches!(needs, Needs::Operator | Needs::Anything))
        .map(|admin| format!("admin={admin}"));
    let fragment: Vec<String> = token.into_iter().chain(admin).collect();
    tab.navigate(&format!("{}/#{}", options.url, fragment.join("&")))
}

fn resize(tab: &mut Tab, width: u32, height: u32) -> Result<(), String> {
    let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
    tab.call("Emulation.setDeviceMetricsOverride", size).map(drop)
}

/// One picture of the whole page in light and one in dark, with whatever the buyer has.
fn pictures(tab: &mut Tab, directory: &Path, width: u32) -> Result<(), String> {
    std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    // Not opened anew: the orders of the checks before are what is worth seeing.
    checks::wait_for_history(tab)?;
    for scheme in ["light", "dark"] {
        let wish = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        tab.call("Emulation.setEmulatedMedia", wish)?;
        let answer = tab.call("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}))?;
        let bytes = BASE64.decode(answer["data"].as_str().unwrap_or_default().as_bytes());
        let bytes = bytes.map_err(|error| format!("the picture: {error}"))?;
        let file = directory.join(format!("console-{width}-{scheme}.png"));
        std::fs::write(&file, bytes).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("picture  {width:>4} px  {}", file.display());
    }
    tab.call("Emulation.setEmulatedMedia", json!({"features": []})).map(drop)
}
