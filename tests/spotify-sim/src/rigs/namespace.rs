//! Networks of our own: what happens in them reaches nobody else.

use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::{io, thread};

use nix::sched::{CloneFlags, setns, unshare};

use super::{RigError, run};

const CURE: &str = "run the tests as root, or inside \
    `unshare --map-root-user --net sh -c 'ip link set lo up && …'` (where that is refused: sysctl \
    kernel.unprivileged_userns_clone=1, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)";

/// The current thread is inside a network of its own until this is dropped.
///
/// Belongs to the thread: threads, processes and runtimes started from it
/// afterwards are inside too, those started before are not. So enter first,
/// and build the tokio runtime then.
#[derive(Debug)]
pub struct Namespace {
    network: Network,
    before: File,
    bound_to_thread: PhantomData<*const ()>,
}

/// A network that exists for as long as somebody refers to it or is inside.
#[derive(Debug, Clone)]
pub struct Network {
    file: Arc<File>,
}

impl Namespace {
    /// Makes a network with only `lo` in it, ready for multicast and with the
    /// address 10.77.0.1/24, and enters it.
    pub fn enter() -> Result<Namespace, RigError> {
        Network::new()?.enter()
    }

    /// To enter from other threads and to change interfaces.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Back to where the thread was: it may run other tests.
        if let Err(e) = setns(&self.before, CloneFlags::CLONE_NEWNET) {
            tracing::warn!("the thread stays in the test network: {e}");
        }
    }
}

impl Network {
    /// Only `lo`, with 10.77.0.1/24 besides 127.0.0.1, and multicast on it.
    pub fn new() -> Result<Network, RigError> {
        let network = Network::bare()?;
        network.ip("link set lo multicast on")?;
        network.add_address("lo", "10.77.0.1/24")?;
        network.ip("route add 224.0.0.0/4 dev lo")?;
        Ok(network)
    }

    /// Only `lo` with 127.0.0.1, for tests that add interfaces.
    pub fn bare() -> Result<Network, RigError> {
        // On a thread that ends at once: only the file keeps the network.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|e| RigError::Forbidden {
                what: "making a network namespace",
                cure: CURE,
                source: e.into(),
            })?;
            current()
        });
        let file = made.join().expect("the thread does not panic")?;
        let network = Network {
            file: Arc::new(file),
        };
        network.ip("link set lo up")?;
        Ok(network)
    }

    /// Takes the current thread inside.
    pub fn enter(&self) -> Result<Namespace, RigError> {
        let before = current()?;
        setns(&*self.file, CloneFlags::CLONE_NEWNET).map_err(forbidden)?;
        Ok(Namespace {
            network: self.clone(),
            before,
            bound_to_thread: PhantomData,
        })
    }

    /// Runs `ip` (iproute2) with these words inside this network.
    pub fn ip(&self, words: &str) -> Result<String, RigError> {
        self.command("ip", "iproute2", words)
    }

    /// E.g. `add_address("lo", "10.77.0.2/24")`.
    pub fn add_address(&self, interface: &str, cidr: &str) -> Result<(), RigError> {
        // `nodad`: an IPv6 address would be of no use for a second otherwise.
        let nodad = if cidr.contains(':') { " nodad" } else { "" };
        self.ip(&format!("address add {cidr} dev {interface}{nodad}"))
            .map(drop)
    }

    pub fn remove_address(&self, interface: &str, cidr: &str) -> Result<(), RigError> {
        self.ip(&format!("address del {cidr} dev {interface}"))
            .map(drop)
    }

    /// A bridge without members: up, with an address, and without carrier,
    /// like docker0 on a machine with no container running.
    pub fn add_bridge(&self, name: &str, cidr: &str) -> Result<(), RigError> {
        self.ip(&format!("link add {name} type bridge"))?;
        self.add_address(name, cidr)?;
        self.set_link(name, true)
    }

    /// An interface that swallows everything, as good as a LAN nobody is on.
    pub fn add_dummy(&self, name: &str, cidr: &str) -> Result<(), RigError> {
        // Kernels without the dummy driver have cables at least: one with
        // nobody at its far end does as well.
        if self.ip(&format!("link add {name} type dummy")).is_err() {
            let far = format!("{name}-far");
            self.ip(&format!("link add {name} type veth peer name {far}"))?;
            self.set_link(&far, true)?;
        }
        self.add_address(name, cidr)?;
        self.ip(&format!("link set {name} multicast on up"))
            .map(drop)
    }

    /// A cable from here to another network. Both ends are up and have an
    /// address; multicast goes over the cable unless a route exists.
    pub fn cable(
        &self,
        (name, cidr): (&str, &str),
        other: &Network,
        (other_name, other_cidr): (&str, &str),
    ) -> Result<(), RigError> {
        // `ip` opens the other network by its path in our /proc.
        let path = format!("/proc/{}/fd/{}", std::process::id(), other.file.as_raw_fd());
        self.ip(&format!(
            "link add {name} type veth peer name {other_name} netns {path}"
        ))?;
        for (network, name, cidr) in [(self, name, cidr), (other, other_name, other_cidr)] {
            network.add_address(name, cidr)?;
            network.set_link(name, true)?;
            if !network.ip("route show 224.0.0.0/4")?.contains("224.") {
                network.ip(&format!("route add 224.0.0.0/4 dev {name}"))?;
            }
        }
        Ok(())
    }

    pub fn set_link(&self, name: &str, up: bool) -> Result<(), RigError> {
        self.ip(&format!(
            "link set {name} {}",
            if up { "up" } else { "down" }
        ))
        .map(drop)
    }

    /// Takes an interface away, and the other end of its cable with it.
    pub fn remove_link(&self, name: &str) -> Result<(), RigError> {
        self.ip(&format!("link del {name}")).map(drop)
    }

    fn command(
        &self,
        tool: &'static str,
        package: &'static str,
        words: &str,
    ) -> Result<String, RigError> {
        // A thread of its own goes inside, whatever thread we are called on.
        let inside = || {
            setns(&*self.file, CloneFlags::CLONE_NEWNET).map_err(forbidden)?;
            run(
                Command::new(tool).args(words.split_whitespace()),
                tool,
                package,
            )
        };
        thread::scope(|scope| {
            scope
                .spawn(inside)
                .join()
                .expect("the thread does not panic")
        })
    }
}

fn current() -> Result<File, RigError> {
    File::open("/proc/thread-self/ns/net")
        .map_err(RigError::io("open the thread's network namespace"))
}

fn forbidden(e: nix::Error) -> RigError {
    RigError::Forbidden {
        what: "entering a network namespace",
        cure: CURE,
        source: io::Error::from(e),
    }
}
