//! The page that tells of the scripts, made from their table; a test fails when the file is stale.

use crate::script::{ALL, Argument, ArgumentKind, Fencing, Repeats, STRUCT_FORMATS, Script};
use std::fmt::Write;

const HEAD: &str = "\
<!-- Made from the table in src/scripts by `BLESS=1 cargo test -p doorbuster-lua --test readme`: do not edit. -->

# The shipped Redis scripts

Each script is one atomic step and means what its Rust model says; `tests/differential.rs` holds both to the same answers
and the same memory. All keys of a call stand in KEYS and in one hash tag. Everything is computed before the first write,
because an error in a script does not roll back. Time is the server's own.

A fenced script begins by comparing the server's `master_replid`, and the epoch and the nonce in `m`, with its arguments;
what differs is answered `FENCED`, and nothing is written. The run id is compared by the client when it connects.

";

const STORED: &str = "\
## What is stored

Numbers in bytes are big-endian; a width in bytes stands behind each field. Words and decimal digits are text.

`{sale:k}:m` HASH: `epoch nonce state seq acked starts_at ends_at limit chunks`, as text; `state` is `loading`, `open`,
`stopped` or `sealed`. Per SKU `sku:NAME`: available 8, live 8, granted 8, number of the last grant 8, signed.

`{sale:k}:u` HASH: user to page. A page is at most 8 records, oldest first, each behind its length 2:

```text
record  epoch 4, seq 6, reserved_at 6 (milliseconds), region
region  count of lines 1 (high bit: the record has ended), lines, id 16, fingerprint of the body 16
line    quantity 2, length of SKU 1, SKU
```

`{sale:k}:x` STREAM: entry id `<epoch>-<seq>`; field `at` (milliseconds, text), and either `taken`, the accepted wishes of
one batch word for word, or `withdrawn`: quantity 8, SKU.

```text
wish    length of what follows 2, length of user 1, user, region
```

`{sale:k}:owner` HASH: order to version 8; while claimed, then the token 8; after a later wish came during the claim, then
its due time 8. `{sale:k}:ready` and `:processing` ZSET: order to milliseconds.

`cache:PRODUCT` STRING: a floor is its version 8; a product is its version 8, the time of its fill 8, the value.

";

const DIFFERENCES: &str = "\
## Where a script differs from its model

- `load`: a chunk that is refused as unbalanced leaves nothing of itself; core's model keeps the records before the one
  that does not fit. Either way that loader's run ends and the next one begins a new memory.
- `settle`: a live record whose SKU has no counter seals the shard, its units stay out; core's model panics.
- `ack` beyond the log is the error `ERR`; core's model panics.
- `delay_claim`, `delay_recover`: a task without an owner, which cannot be, is of version 0; core's model panics.
  Tasks of one score come in the order of their texts; core's model orders ids by bytes and promises no order.
- Lua's numbers are doubles: versions, times and quantities are exact below 2^53. Epochs fit 4 bytes, seqs and times of
  records 6; the encoders hold callers to it.

";

const MEASURED: &str = "\
## What they cost

`cargo bench -p doorbuster-lua`: Redis 7.0.15 on one of two cores that others used as well; the server's own time of the
script, the least of 40 rounds, microseconds per item. An empty script (`return 1`) took 1.1 there. One call of one item
is seven commands of Redis, of which INFO alone is 2.

| items in a call | accept, new buyer | accept, known buyer | replay | sold out | settle |
|---|---|---|---|---|---|
| 1 | 13.0 | 13.6 | 10.1 | 9.2 | 7.9 |
| 16 | 2.5 | 2.9 | 1.9 | 1.5 | 2.6 |
| 64 | 1.8 | 2.1 | 1.4 | 1.1 | 2.1 |

A batch in one packed argument costs 1.8 an item in batches of 64, with one argument per wish 2.2. A buyer with one record
takes 112 bytes of `u`, an acceptance 60 bytes of `x` until it is trimmed.

";

const HOST: &str = "\
## What a host must offer that is not Redis

Lua 5.1 with `string`, `table`, `math`, `tonumber`, `assert`, `unpack`, `redis.call`, `redis.error_reply`, and of `struct`
`pack` and `unpack` with the formats above: big-endian, never aligned; `c0` reads as many bytes as the number before it says
and swallows that number; `unpack` takes a position and answers the next one last. KEYS and ARGV are strings. A nil reply is
`false` in Lua, a false answer is nil to the client. A number given to `redis.call` is written as C's `%.17g` does.
`string.format('%d', n)` must take whole numbers up to 2^53.

";

/// The whole page.
pub fn readme() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| script | keys | compares | calls | Rust model |\n|---|---|---|---|---|\n");
    for script in ALL {
        let keys: Vec<String> = script.keys.iter().map(|key| format!("`{}`", key.name)).collect();
        let (keys, fence, calls) = (keys.join(" "), compared(script.fence), script.commands.join(" "));
        line(&mut page, format_args!("| `{}` | {keys} | {fence} | {calls} | `{}` |", script.name, script.model));
    }
    page.push('\n');
    page.push_str(STORED);
    page.push_str(DIFFERENCES);
    let formats: Vec<String> = STRUCT_FORMATS.iter().map(|format| format!("`{format}`")).collect();
    line(&mut page, format_args!("The scripts use these formats of Redis's `struct`: {}.\n", formats.join(" ")));
    page.push_str(MEASURED);
    page.push_str(HOST);
    page.push_str("## The scripts\n");
    ALL.into_iter().for_each(|script| section(&mut page, script));
    page
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes what is written");
}

fn compared(fence: Fencing) -> String {
    match fence {
        Fencing::Memory => "server, epoch, nonce".to_owned(),
        Fencing::Server => "server; the epoch is answered".to_owned(),
        Fencing::Answered => "server, epoch, nonce; answered".to_owned(),
        Fencing::PerChange => "epoch of each change".to_owned(),
        Fencing::None(reason) => format!("nothing: {reason}"),
    }
}

fn section(page: &mut String, script: &Script) {
    line(page, format_args!("\n### {}\n\n{} SHA-1 `{}`.\n", script.name, script.purpose, script.sha1.as_str()));
    for (number, key) in script.keys.iter().enumerate() {
        line(page, format_args!("- KEYS[{}] `{}` {}", number + 1, key.name, key.kind));
    }
    for (number, argument) in script.arguments.iter().enumerate() {
        let optional = match script.repeats {
            Repeats::Optional(last) if number >= script.arguments.len() - last => ", or absent with its followers",
            Repeats::Optional(_) | Repeats::No | Repeats::PerItem => "",
        };
        line(page, format_args!("- ARGV[{}] {}{optional}", number + 1, described(argument)));
    }
    match script.repeats {
        Repeats::PerItem => line(page, format_args!("- ARGV goes on so, item after item")),
        Repeats::No | Repeats::Optional(_) => {}
    }
    line(page, format_args!("- answers {}", script.reply));
}

fn described(argument: &Argument) -> String {
    let Argument { name, kind, meaning } = argument;
    match kind {
        ArgumentKind::Decimal => format!("`{name}` decimal: {meaning}"),
        ArgumentKind::Text => format!("`{name}` text: {meaning}"),
        ArgumentKind::Packed(module) => format!("`{name}` bytes, see [`{module}`](src/{module}.rs): {meaning}"),
        ArgumentKind::Opaque => format!("`{name}` bytes: {meaning}"),
    }
}
