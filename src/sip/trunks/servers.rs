//! The servers of a provider, and in which order they are tried (RFC 2782, RFC 3263 §4).

use std::net::SocketAddr;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub address: SocketAddr,
    /// Lower ones are tried first.
    pub priority: u16,
    /// Among those of one priority: the share of calls.
    pub weight: u16,
}

impl Server {
    /// Servers of one provider; more that DNS names are left out.
    pub const COUNT_MAX: usize = 8;

    /// One among equals.
    pub fn equal(address: SocketAddr) -> Self {
        Self { address, priority: 0, weight: 0 }
    }
}

/// The servers in the order in which a call tries them. `dice(n)` gives a number from 0 to `n`.
pub fn in_order(servers: &[Server], mut dice: impl FnMut(u32) -> u32) -> Vec<SocketAddr> {
    let mut left: Vec<&Server> = servers.iter().collect();
    // Those without weight stand first, so that they have a small chance too (RFC 2782).
    left.sort_by_key(|server| (server.priority, server.weight));
    let mut order = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let equals = left.iter().take_while(|server| server.priority == first.priority).count();
        let sum: u32 = left[..equals].iter().map(|server| u32::from(server.weight)).sum();
        let wanted = dice(sum);
        let mut running = 0;
        let chosen = left[..equals].iter().position(|server| {
            running += u32::from(server.weight);
            running >= wanted
        });
        order.push(left.remove(chosen.unwrap_or(0)).address);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(port: u16, priority: u16, weight: u16) -> Server {
        Server { address: ([192, 0, 2, 1], port).into(), priority, weight }
    }

    fn ports(servers: &[Server], dice: impl FnMut(u32) -> u32) -> Vec<u16> {
        in_order(servers, dice).into_iter().map(|address| address.port()).collect()
    }

    #[test]
    fn lower_priorities_are_tried_first_and_weights_decide_among_equals() {
        let servers = [server(3, 20, 1), server(1, 10, 30), server(2, 10, 70)];
        assert_eq!(ports(&servers, |_| 0), [1, 2, 3]);
        assert_eq!(ports(&servers, |sum| sum), [2, 1, 3]);
        let mut asked = Vec::new();
        ports(&servers, |sum| {
            asked.push(sum);
            31
        });
        assert_eq!(asked, [100, 30, 1]);
    }

    #[test]
    fn calls_are_shared_by_weight() {
        let servers = [server(1, 0, 1), server(2, 0, 3), server(3, 0, 0)];
        let mut first = [0; 4];
        for number in 0..5 {
            first[usize::from(ports(&servers, |sum| number % (sum + 1))[0])] += 1;
        }
        assert_eq!(first, [0, 1, 3, 1], "0 stands for the one without weight");
    }
}
