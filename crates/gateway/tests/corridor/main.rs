//! The main corridor, end to end: the real gateway on a real socket, a fake Okta, real MCP servers, a browser and a client.
//! [`promises`] is what people were promised; [`threats`] is what attackers must not get, each test named after its row; [`field`] is what is out there; [`lives`] is everything in any order. One
//! program for both, so that the gateway is linked once and one log is searched for secrets. What they stand on is [`world`], or
//! [`program`].

#[cfg(test)]
mod field;
#[cfg(test)]
mod lives;
#[cfg(test)]
mod program;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod threats;
#[cfg(test)]
mod world;
