//! Places in the network.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Edges, Near, Rule, whole};
use crate::EntityType;

const IP_WORDS: &[&str] =
    &["ip", "ipv4", "ipv6", "ipaddress", "ip address", "ip addr", "host", "client", "remote addr"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        entity: EntityType::Url,
        pattern: r#"(?i:https?://|www\.)[^\s<>"'{}|\\^`\[\]]{3,}"#,
        edges: Edges::Word,
        near: Near::Nothing,
        check: url,
    },
    Rule {
        entity: EntityType::IpAddress,
        pattern: r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
        edges: Edges::Ipv4,
        near: Near::Words(IP_WORDS),
        check: |text| whole(text, text.parse::<Ipv4Addr>().is_ok()),
    },
    Rule {
        entity: EntityType::IpAddress,
        pattern: r"(?:[0-9A-Fa-f]{1,4}:|::)[0-9A-Fa-f:]{1,38}(?:\.[0-9]{1,3}){0,3}",
        edges: Edges::Ipv6,
        near: Near::Nothing,
        // Shorter ones look like names in programs: `a::b`.
        check: |text| {
            ipv6(text).filter(|length| text[..*length].split(':').filter(|group| !group.is_empty()).count() >= 4)
        },
    },
    Rule {
        entity: EntityType::IpAddress,
        pattern: r"(?:[0-9A-Fa-f]{1,4}:|::)[0-9A-Fa-f:]{1,38}(?:\.[0-9]{1,3}){0,3}",
        edges: Edges::Ipv6,
        near: Near::Words(IP_WORDS),
        check: ipv6,
    },
];

/// An address, without the colon of the sentence.
fn ipv6(text: &str) -> Option<usize> {
    let address = if text.ends_with("::") { text } else { text.trim_end_matches(':') };
    (address.parse::<Ipv6Addr>().is_ok() && address != "::").then_some(address.len())
}

/// A scheme and a host that can be one, without the signs of the sentence around it.
fn url(text: &str) -> Option<usize> {
    let text = text.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '*', '…']);
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, port)| if port.parse::<u16>().is_ok() { host } else { "" });
    let is_label =
        |label: &str| !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let labels: Vec<&str> = host.split('.').collect();
    let is_name = labels.len() >= 2
        && labels.iter().all(|label| is_label(label))
        && labels.last().is_some_and(|top| top.chars().count() >= 2 && !top.chars().all(|c| c.is_ascii_digit()));
    whole(text, is_name || host.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_all, assert_none, types};

    #[test]
    fn addresses_of_the_web_end_before_the_sentence_does() {
        assert_all(
            "URL",
            "",
            &[
                "https://www.microsoft.com/",
                "http://a.example.org:8080/x?y=z#q",
                "www.example.org",
                "https://müller.example/ä",
            ],
        );
        let text = "(see https://example.org/a_(b), or HTTP://EXAMPLE.ORG.)";
        let found = crate::recognize(text, &crate::Context::default());
        let spans: Vec<_> = found.iter().map(|found| &text[found.span.clone()]).collect();
        assert_eq!(spans, ["https://example.org/a_(b", "HTTP://EXAMPLE.ORG"]);
        assert_none(
            "URL",
            "url",
            &["https://", "http://localhost/", "https://a", "www.", "https://a..b/", "https://1.2/"],
        );
    }

    #[test]
    fn long_internet_addresses_count_by_themselves() {
        assert_all(
            "IP_ADDRESS",
            "",
            &["684D:1111:222:3333:4444:5555:6:77", "2001:db8:85a3::8a2e:370:7334", "64:ff9b:1:2::192.0.2.33"],
        );
        assert_none(
            "IP_ADDRESS",
            "",
            &["684D:1111:222:3333:4444:5555:6:77:8", "12:30:45", "a::b", "192.168.0.1", "::1"],
        );
    }

    #[test]
    fn short_ones_need_a_word() {
        assert_all("IP_ADDRESS", "ip", &["192.168.0.1", "8.8.8.8", "::1", "fe80::1", "2001:db8::"]);
        assert_none("IP_ADDRESS", "ip", &["192.168.0.300", "192.168.01.1", "1.2.3", "::", "12345::1"]);
        assert_eq!(types("client=10.1.2.3:8080"), ["IP_ADDRESS"]);
        assert_eq!(types("version 10.1.2.3"), Vec::<&str>::new());
    }
}
