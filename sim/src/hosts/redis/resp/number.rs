/// The significant digits that are enough for every 64-bit float.
const DIGITS: i32 = 17;

/// The number as C's `%.17g` prints it, which is how Redis 7.0 writes floats.
pub fn c_float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if number.is_nan() {
        return "nan".to_owned();
    }
    // Rust's exponent notation rounds exactly, so its digits and its exponent are those that C starts from.
    let scientific = format!("{number:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("exponent notation has an e");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if !(-4..DIGITS).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(DIGITS - 1 - exponent).expect("the exponent is below the digits");
    without_trailing_zeros(&format!("{number:.decimals$}")).to_owned()
}

fn without_trailing_zeros(text: &str) -> &str {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::c_float;

    #[test]
    fn floats_look_as_in_c() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (0.1, "0.10000000000000001"),
            (-1.5, "-1.5"),
            (1_700_000_000_000.0, "1700000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.5e-5, "1.5e-05"),
            (0.0001, "0.0001"),
            (1e300, "1.0000000000000001e+300"),
        ];
        for (number, text) in cases {
            assert_eq!(c_float(number), text);
        }
    }
}
