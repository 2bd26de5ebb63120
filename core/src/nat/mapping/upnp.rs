//! Messages of UPnP's Internet Gateway Device: the search (SSDP), the device description, and calls of its
//! service WANIPConnection or WANPPPConnection (SOAP).

use std::net::Ipv4Addr;

use super::http::{self, Url};

/// Names of the services that map ports.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/// Error code of a port that another device has (ConflictInMappingEntry).
pub(super) const CONFLICT: u16 = 718;

/// Error code of a router whose mappings never end (OnlyPermanentLeasesSupported).
pub(super) const ONLY_PERMANENT: u16 = 725;

/// Error code of a call that a router refuses without a code (Action Failed).
const FAILED: u16 = 501;

/// Largest number of services in a description that are tried.
const MOST_SERVICES: usize = 4;

/// Question for gateways, to the router and to the group of SSDP. A gateway of version 2 answers it, too.
pub(super) const SEARCH: &str = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\
    MAN: \"ssdp:discover\"\r\nMX: 1\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";

/// Service of a router that maps ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    name: &'static str,
    pub(super) control: Url,
}

/// Call of a service.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    Address,
    Add { external: u16, internal: u16, client: Ipv4Addr, lifetime: u32 },
    Delete { external: u16 },
}

impl Service {
    /// Encodes a call as an HTTP request.
    pub(super) fn request(&self, router: Ipv4Addr, call: Call) -> Vec<u8> {
        let (action, arguments) = call.in_words();
        let body = [
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:",
            action,
            " xmlns:u=\"",
            self.name,
            "\">",
            &arguments,
            "</u:",
            action,
            "></s:Body></s:Envelope>\r\n",
        ]
        .concat();
        let length = body.len().to_string();
        let more = [
            "Content-Type: text/xml; charset=\"utf-8\"\r\nContent-Length: ",
            &length,
            "\r\nSOAPAction: \"",
            self.name,
            "#",
            action,
            "\"\r\n",
        ];
        self.control.request(router, &more, &body)
    }
}

impl Call {
    /// Returns the name of the action, and its arguments as elements.
    fn in_words(self) -> (&'static str, String) {
        match self {
            Self::Address => ("GetExternalIPAddress", String::new()),
            Self::Delete { external } => ("DeletePortMapping", place(external)),
            Self::Add { external, internal, client, lifetime } => {
                let arguments = [
                    place(external),
                    argument("InternalPort", &internal.to_string()),
                    argument("InternalClient", &client.to_string()),
                    argument("Enabled", "1"),
                    argument("PortMappingDescription", "portals"),
                    argument("LeaseDuration", &lifetime.to_string()),
                ];
                ("AddPortMapping", arguments.concat())
            }
        }
    }
}

/// Arguments that identify a mapping.
fn place(external: u16) -> String {
    [argument("RemoteHost", ""), argument("ExternalPort", &external.to_string()), argument("Protocol", "UDP")]
        .concat()
}

fn argument(name: &str, value: &str) -> String {
    ["<New", name, ">", value, "</New", name, ">"].concat()
}

/// Returns the URL of the device description in an answer to the search.
pub(super) fn location(bytes: &[u8], router: Ipv4Addr) -> Option<Url> {
    let text = String::from_utf8_lossy(bytes);
    let is_answer = text.starts_with("HTTP/1.1 200") && text.contains("InternetGatewayDevice");
    Url::parse(http::header(&text, "location").filter(|_| is_answer)?, router)
}

/// Returns the services of a device description that map ports, the first one last.
pub(super) fn services(bytes: &[u8], at: &Url, router: Ipv4Addr) -> Vec<Service> {
    let Some((200, text)) = http::answer(bytes) else { return Vec::new() };
    let mut services = Vec::new();
    for part in text.split("</service>") {
        if services.len() < MOST_SERVICES
            && let Some(service) = service(part, at, router)
        {
            services.insert(0, service);
        }
    }
    services
}

fn service(part: &str, at: &Url, router: Ipv4Addr) -> Option<Service> {
    let name = value(part, "serviceType")?;
    let name = SERVICES.into_iter().find(|known| *known == name)?;
    let control = at.join(&value(part, "controlURL")?.replace("&amp;", "&"), router)?;
    Some(Service { name, control })
}

/// Returns the body of the answer to a call, or the error code.
pub(super) fn result(bytes: &[u8]) -> Result<String, u16> {
    let (status, text) = http::answer(bytes).ok_or(FAILED)?;
    match value(&text, "errorCode").and_then(|code| code.parse().ok()).filter(|code| *code != 0) {
        Some(code) => Err(code),
        None if status == 200 => Ok(text),
        None => Err(FAILED),
    }
}

/// Returns the router's address in the answer to [`Call::Address`].
pub(super) fn address(text: &str) -> Ipv4Addr {
    let address = value(text, "NewExternalIPAddress").and_then(|text| text.parse().ok());
    address.unwrap_or(Ipv4Addr::UNSPECIFIED)
}

/// Returns the text of the first element with this name, with or without a prefix.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.match_indices(name).find_map(|(at, _)| {
        let content =
            text[at + name.len()..].strip_prefix('>').filter(|_| text[..at].ends_with(['<', ':']))?;
        Some(content.split('<').next()?.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    fn url(text: &str) -> Url {
        Url::parse(text, ROUTER).unwrap()
    }

    fn described(body: &str) -> Vec<Service> {
        let page = ["HTTP/1.1 200 OK\r\n\r\n", body].concat();
        services(page.as_bytes(), &url("http://192.168.1.1:5000/root.xml"), ROUTER)
    }

    fn service(name: &str, control: &str) -> String {
        format!("<service>\n<serviceType>{name}</serviceType><controlURL> {control} </controlURL></service>")
    }
    #[test]
    fn the_search_finds_the_router_only() {
        let answer = |location: &str| {
            let text = format!(
                "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\
                 Location:{location}\r\n\r\n"
            );
            super::location(text.as_bytes(), ROUTER)
        };
        assert_eq!(
            answer(" http://192.168.1.1:5000/root.xml"),
            Some(url("http://192.168.1.1:5000/root.xml"))
        );
        assert_eq!(answer("http://192.168.1.9:5000/root.xml"), None);
        let notice =
            b"NOTIFY * HTTP/1.1\r\nLOCATION: http://192.168.1.1/\r\nNT: InternetGatewayDevice\r\n\r\n";
        assert_eq!(location(notice, ROUTER), None);
    }

    #[test]
    fn a_description_tells_the_services_that_map_ports() {
        let [other, ip, ppp] = [
            service("urn:schemas-upnp-org:service:Layer3Forwarding:1", "/ctl/L3F"),
            service(SERVICES[0], "/ctl/ip?a=1&amp;b=2"),
            service(SERVICES[2], "http://192.168.1.1:80/ppp"),
        ];
        let found = described(&["<serviceList>", &other, &ip, &ppp, "</serviceList>"].concat());
        let [second, first] = &found[..] else { panic!("{found:?}") };
        assert_eq!(
            (first.name, &first.control),
            (SERVICES[0], &url("http://192.168.1.1:5000/ctl/ip?a=1&b=2"))
        );
        assert_eq!((second.name, &second.control), (SERVICES[2], &url("http://192.168.1.1:80/ppp")));
        assert_eq!(described(&service(SERVICES[0], "http://192.168.1.9/ctl")), []);
        assert_eq!(described(&other), []);
        assert_eq!(described(&ip.repeat(9)).len(), MOST_SERVICES);
    }

    #[test]
    fn calls_name_the_service_and_their_arguments() {
        let service = Service { name: SERVICES[1], control: url("http://192.168.1.1:5000/ctl") };
        let client = Ipv4Addr::new(192, 168, 1, 2);
        let call = Call::Add { external: 40000, internal: 51821, client, lifetime: 7200 };
        let text = String::from_utf8(service.request(ROUTER, call)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /ctl HTTP/1.0\r\n"), "{head}");
        assert!(
            head.ends_with("SOAPAction: \"urn:schemas-upnp-org:service:WANIPConnection:2#AddPortMapping\"")
        );
        assert_eq!(http::header(head, "Content-Length"), Some(body.len().to_string().as_str()));
        for (name, expected) in [
            ("NewRemoteHost", ""),
            ("NewExternalPort", "40000"),
            ("NewProtocol", "UDP"),
            ("NewInternalPort", "51821"),
            ("NewInternalClient", "192.168.1.2"),
            ("NewEnabled", "1"),
            ("NewLeaseDuration", "7200"),
        ] {
            assert_eq!(value(body, name), Some(expected), "{name}");
        }
    }

    #[test]
    fn results_are_bodies_or_codes() {
        assert_eq!(result(b"HTTP/1.1 200 OK\r\n\r\n<x/>"), Ok("<x/>".to_owned()));
        let fault = b"HTTP/1.1 500 Error\r\n\r\n<UPnPError><u:errorCode>718</u:errorCode></UPnPError>";
        assert_eq!(result(fault), Err(CONFLICT));
        assert_eq!(result(b"HTTP/1.1 200 OK\r\n\r\n<errorCode>725</errorCode>"), Err(ONLY_PERMANENT));
        for other in [&b"HTTP/1.1 401 No\r\n\r\n"[..], b"", b"HTTP/1.1 500 E\r\n\r\n<errorCode>x</errorCode>"]
        {
            assert_eq!(result(other), Err(FAILED));
        }
        assert_eq!(address("<NewExternalIPAddress>203.0.113.9</x>"), Ipv4Addr::new(203, 0, 113, 9));
        assert_eq!(address("<NewExternalIPAddress></x>"), Ipv4Addr::UNSPECIFIED);
    }
}
