//! Keeps the demo to the machine that it runs on.

use std::net::IpAddr;

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, Version, header::HOST, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use crate::reply::Failure;

/// What proxies, tunnels and content networks add to a request that they forward.
const FORWARDING: [&str; 34] = [
    "forwarded",
    "forwarded-for",
    "via",
    // Some proxies write underscores.
    "x_forwarded_for",
    "x_forwarded_host",
    "x_forwarded_proto",
    "x-real-port",
    "x-url-scheme",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "front-end-https",
    "cdn-loop",
    "max-forwards",
    "proxy-connection",
    "client-ip",
    "true-client-ip",
    "do-connecting-ip",
    "incap-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-real-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-host",
    "x-scheme",
    "x-amzn-trace-id",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-cloud-trace-context",
    "x-nginx-proxy",
    "x-proxyuser-ip",
    "x-rewrite-url",
    "x-sucuri-clientip",
    "x-varnish",
];

/// The same, by how they begin.
const FORWARDING_PREFIXES: [&str; 14] = [
    "x-forwarded",
    "x-original",
    "x-originating",
    "x-proxy-",
    "x-envoy-",
    "x-akamai-",
    "x-amz-cf-",
    "x-appengine-",
    "x-arr-",
    "x-vercel-",
    "cf-",
    "fastly-",
    "fly-",
    "tailscale-",
];

/// Answers requests from this machine to this machine, and refuses all others, on every route.
pub(crate) fn guarded(routes: Router) -> Router {
    routes.layer(middleware::from_fn(refuse_others))
}

async fn refuse_others(request: Request, next: Next) -> Response {
    let why = if !names_this_machine(&request) {
        "It answers under localhost, 127.0.0.1 and [::1] only."
    } else if is_forwarded(request.version(), request.headers()) {
        "It answers no request that a proxy or a tunnel forwards."
    } else {
        return next.run(request).await;
    };
    let message = format!("This is the demo, for the machine that it runs on. {why}");
    Failure::new(StatusCode::FORBIDDEN, "DEMO_IS_LOCAL", message).into_response()
}

/// Under another name it is a page of somebody else that asks, or a proxy.
fn names_this_machine(request: &Request) -> bool {
    let mut hosts =
        request.headers().get_all(HOST).into_iter().map(|host| host.to_str().unwrap_or_default()).peekable();
    let by_url = request.uri().authority().is_none_or(|authority| is_this_machine(authority.as_str()));
    by_url && hosts.peek().is_some() && hosts.all(is_this_machine)
}

fn is_this_machine(authority: &str) -> bool {
    let Ok(parsed) = authority.parse::<Authority>() else { return false };
    let host = parsed.host();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_loopback = bare.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    (is_loopback || host.eq_ignore_ascii_case("localhost")) && !authority.contains('@')
}

/// A proxy that adds no header and names us as the host is not seen if it speaks HTTP/1.1: the log-ins are secret for that.
fn is_forwarded(version: Version, headers: &HeaderMap) -> bool {
    let is_forwarding = |name: &str| {
        FORWARDING.contains(&name) || FORWARDING_PREFIXES.into_iter().any(|prefix| name.starts_with(prefix))
    };
    version < Version::HTTP_11 || headers.keys().any(|name| is_forwarding(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_this_machine() {
        for host in
            ["localhost", "LocalHost:5000", "127.0.0.1", "127.0.0.1:5000", "127.8.9.1:80", "[::1]", "[::1]:5000"]
        {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "shop.example",
            "localhost.shop.example",
            "127.0.0.1.shop.example",
            "127.0.0.1@shop.example",
            "shop.example@127.0.0.1",
            "0.0.0.0:5000",
            "10.0.0.1",
            "[::]",
            "[fe80::1]",
            "2130706433",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn what_a_browser_or_curl_sends_is_not_taken_for_forwarded() {
        let mut headers = HeaderMap::new();
        for name in ["host", "accept", "cookie", "origin", "referer", "sec-fetch-site", "x-requested-with", "dnt"] {
            headers.insert(name, axum::http::HeaderValue::from_static("x"));
        }
        assert!(!is_forwarded(Version::HTTP_11, &headers));
        assert!(is_forwarded(Version::HTTP_10, &headers));
        headers.insert("cf-connecting-ip", axum::http::HeaderValue::from_static("x"));
        assert!(is_forwarded(Version::HTTP_11, &headers));
    }
}
