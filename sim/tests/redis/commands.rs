use doorbuster_sim::hosts::redis::{Reply, SyncPolicy};

use crate::client::Client;
use crate::real::RealRedis;

/// Commands, one a line, words apart by spaces; `''` is the empty word. Each group begins with an empty server.
const GROUPS: &[(&str, &str)] = &[
    (
        "strings and keys",
        "get a\nset a 1\nget a\nset a 2 nx\nget a\nset b 3 px 100000 nx\nget b\nset a 1 px 0\nset a 1 px x\nset a 1 px\n\
         exists a b c a\ndel a c\nexists a\nhget b f\npexpire nothing 5\npexpire b -5\nget b\nset c 1\npexpireat c 1\n\
         exists c\npttl c\nset c 1\npttl c\npexpireat c 99999999999999\npexpire c x\nget\nget a b\nset ''  ''\nget ''\n\
         set a 1 px 9223372036854775807\npexpire a 9223372036854775807",
    ),
    (
        "hashes",
        "hset h a 1\nhset h a 2 b 3\nhget h a\nhget h z\nhmget h a z b\nhlen h\nhlen none\nhincrby h a 5\nhincrby h n -7\n\
         hset h t text\nhincrby h t 1\nhincrby h a x\nhincrby h a 9223372036854775807\nhincrby h a 01\nhincrby h a +1\n\
         hset h a\nhset h a 1 b\nhdel h a z b\nhlen h\nhdel h n t\nexists h\nhdel h q\nset s 1\nhget s f\nhset s f 1\n\
         hdel s f\nhincrby s f 1\nhmget s f\nhlen s\nhgetall s\nhgetall none\nhset one f v\nhgetall one\nhscan one 0\n\
         hscan one 0 count 5\nhscan none 0\nhscan one x\nhscan one 0 count 0\nhscan one 0 count x\nhscan s 0",
    ),
    (
        "sorted sets",
        "zadd z 1 a 2 b 3 c\nzadd z 5 a\nzadd z ch 6 a 9 d\nzadd z nx 7 a 8 e\nzadd z xx ch 7 a 8 f\nzadd z gt ch 6 a 8 e\n\
         zadd z lt ch 6 a\nzadd z nx xx 1 a\nzadd z gt lt 1 a\nzadd z x a\nzadd z 1\nzadd z 1 a 2\nzadd z nan a\nzscore z a\n\
         zscore z none\nzscore none a\nzadd z 0.1 p 1e300 q inf r -inf s 1700000000123 t\nzscore z p\nzscore z q\nzscore z r\n\
         zscore z s\nzscore z t\nzcard z\nzcard none\nzrangebyscore z -inf +inf\nzrangebyscore z (2 3\nzrangebyscore z 2 (3\n\
         zrangebyscore z 2 3 withscores\nzrangebyscore z -inf +inf limit 1 2\nzrangebyscore z -inf +inf limit 1 -1\n\
         zrangebyscore z -inf +inf limit -1 2\nzrangebyscore z x 3\nzrange z 0 -1\nzrange z 1 2\nzrange z -2 -1 withscores\n\
         zrange z 0 10 byscore\nzrange z 0 10 byscore limit 0 2\nzrange z 10 0 byscore rev\nzrange z 0 1 limit 0 1\n\
         zrange z 5 1\nzrange none 0 -1\nzrange z 0 1 rev\nzrem z a none b\nzcard z\nset s 1\nzadd s 1 a\nzrem s a\nzscore s a\n\
         zcard s\nzrange s 0 -1\nzrangebyscore s 0 1\nzadd y 1 b 1 a 1 c\nzrange y 0 -1\nzrem y a b c\nexists y",
    ),
    (
        "streams",
        "xadd s 1-1 a 1\nxadd s 1-1 a 1\nxadd s 0-0 a 1\nxadd s 1-2 a\nxadd s 1-* a 2\nxadd s 0-* a 2\nxadd s 5 a 3 b 4\nxadd s x a 1\n\
         xadd none nomkstream 1-1 a 1\nxlen s\nxlen none\nxrange s - +\nxrange s 1 1\nxrange s (1-1 +\nxrange s 1-1 (5\n\
         xrange s - + count 1\nxrange s - + count 0\nxrange s - + count x\nxrange s x +\nxrange s + -\nxrange none - +\n\
         xrevrange s + -\nxrevrange s + - count 2\nxrevrange s 1-2 1-1\nxtrim s minid 1-2\nxrange s - +\nxtrim s minid = 5\n\
         xtrim s minid x\nxtrim s foo 1\nxtrim none minid 1\nxlen s\nxtrim s minid 9\nxlen s\nexists s\nxadd s 5-0 a 1\nxadd s 6-0 a 1\n\
         set t 1\nxadd t 1-1 a 1\nxlen t\nxrange t - +\nxtrim t minid 1\nxadd 18446744073709551615 18446744073709551615-18446744073709551615 a 1\n\
         xadd 18446744073709551615 18446744073709551615-18446744073709551615 a 1\nxadd u 18446744073709551616-1 a 1",
    ),
    (
        "groups",
        "xgroup create s g 0\nxgroup create s g x mkstream\nxgroup create s g 0 mkstream\nxgroup create s g 0 mkstream\nxinfo groups s\n\
         xadd s 1-1 a 1\nxadd s 1-2 b 2\nxadd s 1-3 c 3\nxadd s 1-4 d 4\nxgroup create s h $\nxgroup create s i 1-2\nxinfo groups s\n\
         xreadgroup group g one count 2 streams s >\nxinfo groups s\nxreadgroup group g two streams s >\nxreadgroup group g two streams s >\n\
         xreadgroup group h one streams s >\nxreadgroup group i one streams s >\nxinfo groups s\nxpending s g\nxack s g 1-1 1-1 7-7\n\
         xpending s g\nxack none g 1-1\nxack s none 1-1\nxack s g x\nxreadgroup group g one streams s 0\nxreadgroup group g three streams s 0\n\
         xreadgroup group g one count 1 streams s 1-2\nxreadgroup group g one streams s x\nxreadgroup group g one streams s $\n\
         xreadgroup group none one streams s >\nxreadgroup group g one streams none >\nxreadgroup group g one streams s\n\
         xreadgroup group g one count x streams s >\nxreadgroup group g one block x streams s >\nxreadgroup group g one block -1 streams s >\n\
         xreadgroup group g one streams s s >\nxclaim s g two 0 1-2\nxclaim s g two 0 1-2 justid\nxclaim s g two 99999999 1-2\n\
         xclaim s g two 0 1-1\nxclaim s g two 0 1-1 force retrycount 7\nxclaim s g four 0 9-9 force\nxclaim s none two 0 1-1\n\
         xclaim none g two 0 1-1\nxclaim s g two x 1-1\nxclaim s g two 0 1-1 what\nxautoclaim s g three 0 0 count 2\nxautoclaim s g three 0 1-3 justid\n\
         xautoclaim s g three 99999999 0\nxautoclaim s g three 0 0 count 0\nxautoclaim s none three 0 0\nxautoclaim s g three x 0\nxautoclaim s g three 0 y\n\
         xpending s g\nxtrim s minid 1-3\nxreadgroup group g three streams s 0\nxclaim s g one 0 1-2\nxautoclaim s g one 0 0\nxpending s g\n\
         xinfo groups s\nxpending s none\nxpending none g\nxpending s g - +\nxpending s g - + x\nxpending s g + - 10\nxpending s g - + 10 nobody\nxpending s h\nxpending s h - + 5\n\
         xinfo groups none\nxinfo consumers s none\nxinfo consumers none g\nxinfo stream none\nset t 1\nxgroup create t g 0\nxack t g 1\n\
         xreadgroup group g one streams t >\nxpending t g\nxinfo groups t\nxclaim t g one 0 1\nxautoclaim t g one 0 0",
    ),
    (
        "words of the connection",
        "ping\nping hello\nping a b\nconfig get maxmemory-policy\nrole\nscript exists\n\
         script exists aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nevalsha aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 0\nevalsha short 0\n\
         script flush\nunsubscribe\nunsubscribe x\nhello 4\nhello x\nwait 0 0\nwait 0 x\nwait 0 -1\nclient setname me\nclient setinfo lib-name x\n\
         eval x\neval return x\nconfig get\nscript load\nxgroup create\nxinfo stream\npublish c m\npublish c\ntime x\nrole x\nevalsha a 1 b",
    ),
    (
        "the third version of the protocol",
        "hello 3 setname me\nhset h f v\nhgetall h\nhgetall none\nget none\nzadd z 1.5 a\nzscore z a\nzscore z b\nzrange z 0 -1\nxgroup create s g 0 mkstream\n\
         xreadgroup group g c streams s >\nxadd s 1-1 a 1\nxreadgroup group g c streams s >\nxinfo groups s\nxpending s g\nconfig get maxmemory-policy\n\
         set a 1 nx\nset a 1 nx\nhmget h f g\nunsubscribe x\nunsubscribe\nhello 2",
    ),
];

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| if word == "''" { String::new() } else { word.to_owned() }).collect()
}

/// A greeting names the connection by a number that says nothing.
fn comparable(line: &str, reply: Reply) -> Reply {
    match reply {
        Reply::Array(_) | Reply::Map(_) if line.starts_with("hello") => Reply::ok(),
        other => other,
    }
}

#[test]
fn every_command_answers_as_the_real_server() {
    let Some(mut real) = RealRedis::start("every_command_answers_as_the_real_server") else { return };
    let mut different = Vec::new();
    for (name, lines) in GROUPS {
        real.ask(&["FLUSHALL"]);
        let mut simulated = Client::new(SyncPolicy::Always);
        for line in lines.lines().map(str::trim) {
            let expected = comparable(line, real.ask(&words(line)));
            let got = comparable(line, simulated.ask(&words(line)));
            if expected != got {
                different.push(format!("{name}: {line}\n  real      {expected:?}\n  simulated {got:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}
