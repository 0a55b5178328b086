use serde_json::{Value, json};

use super::devtools::Tab;

/// Whose token a check needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The page of somebody who has none.
    Nobody,
    /// Whatever was given: more of the page is seen with more.
    Anything,
    Buyer,
    /// A buyer's and an operator's.
    Operator,
}

/// One thing that must be true of the console.
pub struct Check {
    /// What is true when it passes.
    pub name: &'static str,
    pub needs: Needs,
    /// At every size; the others do not depend on it and run once.
    pub everywhere: bool,
    pub run: fn(&mut Tab) -> Result<(), String>,
}

/// Every check, in an order in which none spoils another. At each size one unit is paid for, so that the demo sale's
/// limit of two is reached at the end and not before.
pub const CHECKS: &[Check] = &[
    Check { name: "the page loads and shows figures", needs: Needs::Nobody, everywhere: true, run: shows_figures },
    Check { name: "nothing is wider than the screen", needs: Needs::Anything, everywhere: true, run: fits },
    Check { name: "nothing moves from second to second", needs: Needs::Nobody, everywhere: true, run: stands_still },
    Check { name: "no hole in any text", needs: Needs::Anything, everywhere: true, run: has_no_holes },
    Check { name: "the invariants are shown in words", needs: Needs::Nobody, everywhere: true, run: shows_invariants },
    Check { name: "every control has a name", needs: Needs::Anything, everywhere: true, run: names_its_controls },
    Check {
        name: "buying without a token asks for one",
        needs: Needs::Nobody,
        everywhere: false,
        run: asks_for_a_token,
    },
    Check {
        name: "a lost connection is told and mended",
        needs: Needs::Nobody,
        everywhere: false,
        run: survives_a_cut,
    },
    Check { name: "an order card survives a reload", needs: Needs::Buyer, everywhere: false, run: remembers },
    Check { name: "an operator stops and resumes a sale", needs: Needs::Operator, everywhere: false, run: operates },
    Check { name: "a refused click says why", needs: Needs::Buyer, everywhere: true, run: tells_refusals },
    Check { name: "an order is bought and cancelled", needs: Needs::Buyer, everywhere: true, run: cancels },
    Check { name: "an order is bought, paid and looked up", needs: Needs::Buyer, everywhere: true, run: pays },
];

/// An open sale's SKU of which there is something: its row.
const ROW: &str = ".sale[data-state='open'] .sku:not(.gone)";

/// Waits until the feed has been heard.
pub fn wait_for_line(tab: &mut Tab) -> Result<(), String> {
    tab.wait_for("the live feed", "document.querySelector('#link')?.dataset.state === 'live'").map(drop)
}

/// Waits until the lines have some length, for pictures that show what the page is like after a while.
pub fn wait_for_history(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    let points = "document.querySelector('[data-rate=accepted] .line').getAttribute('d').split('L').length";
    tab.wait_for("some history", &format!("{points} >= 15")).map(drop)
}

/// The value must be true; else `else_say` tells what was found.
fn expect(tab: &mut Tab, expression: &str, else_say: &str) -> Result<(), String> {
    match tab.evaluate(expression)? {
        Value::Bool(true) => Ok(()),
        found => Err(format!("{else_say} ({found})")),
    }
}

/// The list must be empty; else it names what is wrong.
fn expect_none(tab: &mut Tab, expression: &str, else_say: &str) -> Result<(), String> {
    match tab.evaluate(expression)? {
        Value::Array(found) if found.is_empty() => Ok(()),
        found => Err(format!("{else_say}: {found}")),
    }
}

fn shows_figures(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    let figures = "(nodes => nodes.length > 0 && nodes.every(node => /^[0-9][0-9,]*$/.test(node.textContent)))";
    for (what, selector) in
        [("stock", ".sku dd"), ("rates", ".rate .now b"), ("queues", "#queues dd"), ("orders by state", "#states dd")]
    {
        tab.wait_for(what, &format!("{figures}([...document.querySelectorAll({selector:?})])"))?;
    }
    let bars = "[...document.querySelectorAll('.sku .bar')].every(bar => [...bar.children].reduce((sum, part) =>
        sum + parseFloat(part.style.width), 0) <= 100.1)";
    expect(tab, bars, "the parts of a bar are more than the whole")
}

fn fits(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    let outside = "[...document.querySelectorAll('body *')].filter(node => node.checkVisibility() &&
        !node.closest('.unseen, .skip, svg') && node.getBoundingClientRect().right > innerWidth + 0.5)
        .map(node => node.tagName + '.' + node.className)";
    expect_none(tab, outside, "these stick out")?;
    let page = "document.documentElement.scrollWidth <= innerWidth";
    expect(tab, page, "the page scrolls sideways")
}

/// Cumulative layout shift as the browser counts it (<https://web.dev/articles/cls>); a good page keeps below 0.1
/// for its whole life, and this one draws itself anew every second.
fn stands_still(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    let pictures = |count: u32| format!("(window.labPictures ?? 0) >= {count}");
    let watch = "window.labShift = 0; window.labPictures = 0;
        new MutationObserver(() => { window.labPictures += 1; })
          .observe(document.querySelector('[data-rate=accepted] .line'), {attributes: true});
        window.labObserver = new PerformanceObserver(list => {
          for (const shift of list.getEntries()) window.labShift += shift.value; }); 1";
    tab.evaluate(watch)?;
    // The first pictures fill the page; from then on nothing may move.
    tab.wait_for("two pictures", &pictures(2))?;
    tab.evaluate("window.labObserver.observe({type: 'layout-shift'}); 1")?;
    tab.wait_for("five pictures", &pictures(5))?;
    expect(tab, "window.labShift < 0.001 || window.labShift", "the layout shifts")
}

fn has_no_holes(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    let holes = "[...document.querySelectorAll('body *, body')].flatMap(node => [...node.childNodes]
        .filter(child => child.nodeType === 3).map(child => child.data)
        .concat(['aria-label', 'title', 'd'].map(name => node.getAttribute(name) ?? '')))
        .filter(text => /undefined|NaN|Infinity|\\[object|null|Invalid Date/.test(text))";
    expect_none(tab, holes, "values that are not there are shown")
}

fn shows_invariants(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    let items = "#invariant-list li[data-id]";
    tab.wait_for("an invariant", &format!("document.querySelectorAll({items:?}).length"))?;
    let wordless = format!(
        "[...document.querySelectorAll({items:?})].filter(item => !/^(holds|BROKEN|not checked)$/
           .test(item.querySelector('.state').textContent)).map(item => item.dataset.id)"
    );
    expect_none(tab, &wordless, "shown by colour alone")?;
    let broken = "[...document.querySelectorAll('#invariant-list [data-state=red]')].map(item => item.innerText)";
    expect_none(tab, broken, "broken")
}

fn names_its_controls(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    let nameless = "[...document.querySelectorAll('button, input, select, a, [role=img]')].filter(node =>
        node.checkVisibility() && !(node.getAttribute('aria-label') || node.innerText || node.labels?.length))
        .map(node => node.outerHTML)";
    expect_none(tab, nameless, "these have no name for those who do not see them")
}

fn asks_for_a_token(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    tab.click(&format!("{ROW} .buy button"))?;
    tab.wait_for("the reason", "document.querySelector('#token-error').textContent")?;
    expect(tab, "document.activeElement.id === 'token'", "the field does not have the focus")
}

fn survives_a_cut(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    let network =
        |offline: bool| json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
    tab.call("Network.emulateNetworkConditions", network(true))?;
    let told = tab.wait_for(
        "the news of the lost connection",
        "!document.querySelector('#lost').hidden && /Retrying/.test(document.querySelector('#lost').innerText)",
    );
    tab.call("Network.emulateNetworkConditions", network(false))?;
    told?;
    wait_for_line(tab)?;
    expect(tab, "document.querySelector('#lost').hidden", "the news of the lost connection stays")?;
    // The browser logs what was cut; that was this check's doing.
    tab.take_complaints();
    Ok(())
}

fn set_quantity(tab: &mut Tab, row: &str, quantity: u32) -> Result<(), String> {
    let set = format!("document.querySelector({:?}).value = {quantity}", format!("{row} .quantity"));
    tab.evaluate(&set).map(drop)
}

fn tells_refusals(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    // More than any sale allows one buyer: refused by the limit or for want of stock.
    set_quantity(tab, ROW, 999)?;
    tab.click(&format!("{ROW} .buy button"))?;
    let reason = format!("document.querySelector({:?})?.textContent", format!("{ROW} .answer.refusal"));
    let reason = tab.wait_for("the reason of the refusal", &reason)?;
    let words = reason.as_str().unwrap_or_default().split_whitespace().count();
    if words < 5 {
        return Err(format!("the reason is too short to help: {reason}"));
    }
    tab.wait_for("its announcement", "document.querySelector('#announcer').textContent")?;
    expect(tab, "!document.querySelector('.order')", "a refused click leaves an order card")
}

/// Buys one unit and waits for the order's row; returns the selector of its card.
fn buy(tab: &mut Tab) -> Result<String, String> {
    wait_for_line(tab)?;
    set_quantity(tab, ROW, 1)?;
    tab.click(&format!("{ROW} .buy button"))?;
    let card = "(document.querySelector('.order')?.dataset.status ?? '')";
    let refusal = format!("(document.querySelector({:?})?.textContent ?? '')", format!("{ROW} .answer.refusal"));
    tab.wait_for("an order card, or a refusal", &format!("{card} || {refusal}"))?;
    let refused = tab.evaluate(&refusal)?;
    if refused != "" {
        return Err(format!("the buyer was refused: {refused}"));
    }
    let key = tab.evaluate("document.querySelector('.order').dataset.key")?;
    let card = format!(".order[data-key='{}']", key.as_str().unwrap_or_default());
    wait_for_status(tab, &card, "PENDING_PAYMENT")?;
    expect(
        tab,
        &format!("/left to pay/.test(document.querySelector({card:?}).innerText)"),
        "the card does not say how long the pay window is",
    )?;
    Ok(card)
}

fn wait_for_status(tab: &mut Tab, card: &str, status: &str) -> Result<(), String> {
    let reached = format!("document.querySelector({card:?})?.dataset.status === {status:?}");
    tab.wait_for(status, &reached).map(drop)
}

fn cancels(tab: &mut Tab) -> Result<(), String> {
    let card = buy(tab)?;
    tab.click(&format!("{card} [data-do=cancel]"))?;
    wait_for_status(tab, &card, "CANCELLED")?;
    expect(
        tab,
        &format!("!document.querySelector({:?}).checkVisibility()", format!("{card} [data-do=pay]")),
        "a cancelled order can still be paid",
    )
}

fn pays(tab: &mut Tab) -> Result<(), String> {
    let card = buy(tab)?;
    tab.click(&format!("{card} [data-do=pay]"))?;
    wait_for_status(tab, &card, "PAID")?;
    tab.click(&format!("{card} [data-do=look]"))?;
    let told = format!(
        "/^Looked up: accepted[.] Paid/.test(document.querySelector({card:?})?.querySelector('.say').textContent)"
    );
    tab.wait_for("what became of it", &told)?;
    let proof = format!("document.querySelector({:?}).textContent.length > 20", format!("{card} .receipt"));
    expect(tab, &proof, "the card has no receipt")
}

/// A click whose page went away before its answer came.
fn remembers(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    let card = r#"{"sale":"demo","sku":"x","name":"Kept","quantity":1,"key":"kept","status":"asking"}"#;
    let keep = format!(
        "(async () => {{ const page = await import('/assets/page.js');
           page.remember('orders', JSON.stringify([{{...{card}, user: page.claims(page.buyer()).sub}}])); return true; }})()"
    );
    tab.evaluate(&keep)?;
    tab.reload()?;
    wait_for_line(tab)?;
    // A click whose answer never came is neither bought nor not bought.
    wait_for_status(tab, ".order[data-key=kept]", "unknown")
}

fn operates(tab: &mut Tab) -> Result<(), String> {
    wait_for_line(tab)?;
    tab.wait_for("an open sale", "document.querySelector(\".sale[data-state='open']\")?.dataset.sale")?;
    let sale = tab.evaluate("document.querySelector(\".sale[data-state='open']\").dataset.sale")?;
    let sale = format!(".sale[data-sale='{}']", sale.as_str().unwrap_or_default());
    let state = |state: &str| format!("document.querySelector({sale:?}).dataset.state === {state:?}");
    tab.click(&format!("{sale} [data-act=stop]"))?;
    tab.wait_for("the stop", &state("stopped"))?;
    tab.click(&format!("{sale} [data-act=resume]"))?;
    tab.wait_for("the resumption", &state("open")).map(drop)
}
