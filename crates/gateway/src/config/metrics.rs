//! Section: the address where the gateway's metrics are read. What they are is
//! [`crate::metrics`]'s.

use std::net::SocketAddr;

use portunus_core::{
    settings,
    settings::{Custom, Setting, Settings as _, ValueType, custom},
};

use super::{inputs::Inputs, mistake::Report};

pub(super) const METRICS: Setting = Setting::new(
    "metrics",
    ValueType::Section(&MetricsConfig::SECTION),
    "What the gateway counts, for Prometheus (docs/metrics.md)",
)
.needs_restart();

settings! {
    /// Where metrics are read.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MetricsConfig: "Metrics (docs/metrics.md)" {
        /// `None`: nowhere.
        listen: Option<SocketAddr> = "off", LISTEN,
            "Address and port of `GET /metrics`, which asks for no token: 127.0.0.1:9464, or one on a network that only monitoring reaches",
            variables(&["METRICS_LISTEN"]);
    }
}

const LISTEN: Custom<Option<SocketAddr>> = custom(ValueType::Text, |text| match text {
    "off" => Ok(None),
    address => match address.parse() {
        Ok(address) => Ok(Some(address)),
        Err(_) => Err("an IP address and a port, such as 127.0.0.1:9464; or `off`".to_owned()),
    },
});

pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> MetricsConfig {
    let mut metrics = MetricsConfig::default();
    metrics.read(&mut inputs.section("metrics", report));
    metrics
}
