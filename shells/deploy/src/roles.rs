//! What a container is told to do, by its arguments.

/// Where the configuration lies in every container.
pub const CONFIG: &str = "/etc/doorbuster/production.toml";

/// The roles that these arguments give a process; none when they are not those of `serve` with the one configuration.
pub fn served(arguments: &[String]) -> Option<&[String]> {
    match arguments {
        [serve, roles @ .., flag, config] if serve == "serve" && flag == "--config" && config == CONFIG => Some(roles),
        _other_arguments => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_stand_between_the_verb_and_the_configuration() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let two = words("serve reaper settler --config /etc/doorbuster/production.toml");
        assert_eq!(served(&two), Some(&words("reaper settler")[..]));
        assert_eq!(served(&words("migrate --config /etc/doorbuster/production.toml")), None);
        assert_eq!(served(&words("serve edge --config /tmp/else.toml")), None);
        let dev = words("serve edge --dev --config /etc/doorbuster/production.toml");
        assert_eq!(served(&dev), Some(&words("edge --dev")[..]), "a flag is no role: whoever compares names finds it");
    }
}
