//! Where deliveries come from: Safaricom's addresses, and the proxies in between.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use ipnet::{IpNet, Ipv4Net};

use crate::error::Invalid;

/// The addresses that Safaricom posts from, as it publishes them at Go Live. Two, .212.128 and .212.132, stand on older
/// lists only.
pub const SAFARICOM: [Ipv4Addr; 14] = [
    Ipv4Addr::new(196, 201, 212, 69),
    Ipv4Addr::new(196, 201, 212, 74),
    Ipv4Addr::new(196, 201, 212, 127),
    Ipv4Addr::new(196, 201, 212, 128),
    Ipv4Addr::new(196, 201, 212, 129),
    Ipv4Addr::new(196, 201, 212, 132),
    Ipv4Addr::new(196, 201, 212, 136),
    Ipv4Addr::new(196, 201, 212, 138),
    Ipv4Addr::new(196, 201, 213, 44),
    Ipv4Addr::new(196, 201, 213, 114),
    Ipv4Addr::new(196, 201, 214, 200),
    Ipv4Addr::new(196, 201, 214, 206),
    Ipv4Addr::new(196, 201, 214, 207),
    Ipv4Addr::new(196, 201, 214, 208),
];

/// More hops than any delivery takes. A header that names more is refused.
const MOST_HOPS: usize = 100;

/// Which addresses deliveries are taken from.
///
/// Behind a reverse proxy every delivery comes from the proxy, and its client's address is in a header that anybody can
/// write. So the proxies have to be named: the address that counts is the first, **from the right**, that is none of
/// them. A missing or unreadable address is refused.
///
/// An address is the weaker control: what proves a delivery is its [signed URL](super::SignedUrls).
///
/// ```
/// use daraja::webhook::{ProxyHeader, Sources};
///
/// let direct = Sources::safaricom();
/// let behind_nginx = Sources::safaricom().behind(["127.0.0.1", "10.0.0.0/8"], ProxyHeader::XForwardedFor)?;
/// let with_a_new_one = Sources::safaricom().and(["196.201.214.0/24"])?;
/// let simulator = Sources::only(["127.0.0.1"])?;
/// assert!(Sources::only(["10.0.0.0/33"]).is_err());
/// # Ok::<(), daraja::Error>(())
/// ```
#[must_use]
#[derive(Clone, PartialEq, Eq)]
pub struct Sources {
    allowed: Option<Vec<IpNet>>,
    proxies: Vec<IpNet>,
    header: ProxyHeader,
}

/// In which header the proxies write whom they speak for. The other one is not looked at: a client can write it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, which nearly all proxies write.
    #[default]
    XForwardedFor,
    /// `Forwarded`, of RFC 7239.
    Forwarded,
}

impl Sources {
    /// [Safaricom's addresses](SAFARICOM), and no others.
    pub fn safaricom() -> Self {
        let single = |address: Ipv4Addr| IpNet::from(IpAddr::from(address));
        Self::allowing(Some(SAFARICOM.into_iter().map(single).collect()))
    }

    /// These addresses and networks, such as `10.1.2.3` or `10.0.0.0/8`, and no others.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if one of them is none.
    pub fn only<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> Result<Self, Invalid> {
        read_all(networks).map(|allowed| Self::allowing(Some(allowed)))
    }

    /// Any address, even none: only the signed URL counts. For tunnels whose addresses are not known.
    pub fn anyone() -> Self {
        Self::allowing(None)
    }

    fn allowing(allowed: Option<Vec<IpNet>>) -> Self {
        Self { allowed, proxies: Vec::new(), header: ProxyHeader::default() }
    }

    /// These addresses and networks, too.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if one of them is none.
    pub fn and<N: AsRef<str>>(mut self, networks: impl IntoIterator<Item = N>) -> Result<Self, Invalid> {
        let more = read_all(networks)?;
        if let Some(allowed) = &mut self.allowed {
            allowed.extend(more);
        }
        Ok(self)
    }

    /// Behind proxies of these addresses and networks, all of which write this header.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if one of them is none.
    pub fn behind<N: AsRef<str>>(
        mut self,
        proxies: impl IntoIterator<Item = N>,
        header: ProxyHeader,
    ) -> Result<Self, Invalid> {
        self.proxies = read_all(proxies)?;
        self.header = header;
        Ok(self)
    }

    pub(crate) fn header(&self) -> ProxyHeader {
        self.header
    }

    /// Whether a delivery may be taken: `lines` are the header's, in the order in which they came.
    pub(crate) fn admit(&self, peer: Option<IpAddr>, lines: &[&[u8]]) -> bool {
        let Some(allowed) = &self.allowed else { return true };
        self.client(peer, lines).is_some_and(|client| contains(allowed, client))
    }

    /// The nearest address that is not one of the proxies.
    pub(crate) fn client(&self, peer: Option<IpAddr>, lines: &[&[u8]]) -> Option<IpAddr> {
        let peer = peer?.to_canonical();
        if !contains(&self.proxies, peer) {
            return Some(peer);
        }
        // A line that is not text is not read.
        if lines.iter().any(|line| std::str::from_utf8(line).is_err()) {
            return None;
        }
        match self.header {
            ProxyHeader::XForwardedFor => self.nearest_of_list(lines),
            ProxyHeader::Forwarded => self.nearest_of_elements(lines),
        }
    }

    /// The first address from the right that is not a proxy of ours. A hop that cannot be read ends the search: a client can
    /// write anything to its left.
    fn nearest_of_list(&self, lines: &[&[u8]]) -> Option<IpAddr> {
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for hop in hops.take(MOST_HOPS) {
            let hop = address(std::str::from_utf8(hop).ok()?.trim())?;
            if !contains(&self.proxies, hop) {
                return Some(hop);
            }
        }
        None
    }

    /// The same by the `for` of each element of a `Forwarded` list. An element without one is a hop that cannot be read; a
    /// list that is malformed anywhere is not read at all, so it is read from the left.
    fn nearest_of_elements(&self, lines: &[&[u8]]) -> Option<IpAddr> {
        let list = lines.join(&b","[..]);
        let mut nearest = None;
        for (number, element) in Pieces::of(std::str::from_utf8(&list).ok()?, ',').enumerate() {
            if number == MOST_HOPS {
                return None;
            }
            let hop = forwarded_for(element?).ok()?;
            if hop.is_none_or(|hop| !contains(&self.proxies, hop)) {
                nearest = Some(hop);
            }
        }
        nearest.flatten()
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self::safaricom()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("allowed", &self.allowed.as_ref().map(Vec::len))
            .field("proxies", &self.proxies)
            .field("header", &self.header)
            .finish()
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

fn read_all<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> Result<Vec<IpNet>, Invalid> {
    networks.into_iter().map(|network| read(network.as_ref().trim())).collect()
}

/// IPv4 in IPv6 is kept as IPv4, so that one spelling is compared with the other.
fn read(text: &str) -> Result<IpNet, Invalid> {
    let single = text.parse::<IpAddr>().map(IpNet::from);
    let network = single.or_else(|_| text.parse::<IpNet>());
    let network = network.map_err(|_| {
        Invalid::new("network", "an address such as 10.1.2.3 or a network such as 10.0.0.0/8 is expected")
            .with_input(text)
    })?;
    let IpNet::V6(v6) = network else { return Ok(network) };
    let v4 = v6.network().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let v4 = v4.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    Ok(v4.map_or(network, IpNet::V4))
}

/// One hop: an address, with a port or without, IPv6 in brackets or without.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::from),
        None => hop.parse().ok().or_else(|| hop.parse().ok().map(|with_port: SocketAddr| with_port.ip())),
    };
    address.map(|address| address.to_canonical())
}

/// An element of a `Forwarded` list that cannot be read: then nothing of the list is.
struct Malformed;

/// The address of one element of a `Forwarded` list, if it has one that can be read.
fn forwarded_for(element: &str) -> Result<Option<IpAddr>, Malformed> {
    let mut hop = None;
    for pair in Pieces::of(element, ';') {
        let pair = pair.ok_or(Malformed)?;
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = unquoted(value.trim()).filter(|_| !name.contains('"')).ok_or(Malformed)?;
        if !name.trim().eq_ignore_ascii_case("for") {
            continue;
        }
        // Two addresses of one hop are none.
        if hop.replace(address(value)).is_some() {
            return Err(Malformed);
        }
    }
    Ok(hop.flatten())
}

/// A value that is one word, or one quoted text as a whole. Anything else can be a quote that a client left open, and the
/// proxy's own element inside it.
fn unquoted(value: &str) -> Option<&str> {
    let Some(rest) = value.strip_prefix('"') else { return Some(value).filter(|value| !value.contains('"')) };
    let inner = rest.strip_suffix('"')?;
    let mut escaped = false;
    let closes_early = inner.chars().any(|c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    if closes_early { None } else { Some(inner) }
}

/// A text, split where a separator stands outside of quotes. The last piece is `None` if a quote is left open.
struct Pieces<'t> {
    rest: Option<&'t str>,
    separator: char,
}

impl<'t> Pieces<'t> {
    fn of(text: &'t str, separator: char) -> Self {
        Self { rest: Some(text), separator }
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Option<&'t str>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.take()?;
        let (mut quoted, mut escaped) = (false, false);
        for (position, c) in text.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = quoted,
                '"' => quoted = !quoted,
                c if c == self.separator && !quoted => {
                    let (piece, rest) = text.split_at(position);
                    self.rest = rest.strip_prefix(self.separator);
                    return Some(Some(piece));
                }
                _ => {}
            }
        }
        Some((!quoted).then_some(text))
    }
}
