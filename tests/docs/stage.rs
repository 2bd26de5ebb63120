//! Stage of a story: machines of a small world, on which real shells run the command lines of a page.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{DemoSite, Plot, World};

use crate::firmware::{Machine, PROCD, SYSTEMCTL, UNITS};
use crate::namespace;
use crate::pages::Page;
use crate::program;
use crate::remote::{self, is_remote};
use crate::shells::{eventually, same, seconds, shell, within};
use crate::shown;
use crate::unrun;

/// Script that gives every machine the names and programs that the pages suppose: portals, where `scp` puts
/// it, programs of the host, and `sudo`, which root does not need.
const COMMON: &str = r#"
    printf '%s\n' '127.0.0.1 localhost' '198.51.100.2 nyc.example.net' '203.0.113.9 paris.example.net' \
        '192.0.2.5 rome.example.net' >etc/hosts
    printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >etc/passwd
    printf 'root:x:0:\nnogroup:x:65534:\n' >etc/group
    mkdir -p usr/local/bin var/lib/node_exporter var/lib/misc
    for program in wg nft dnsmasq; do
        path=$(PATH=$PATH:/usr/sbin command -v $program)
        cp "$path" usr/bin
        for library in $(ldd "$path" | grep -o '[[:space:]]/[^ ]*'); do
            mkdir -p ./${library%/*} && cp -L $library ./$library
        done
    done
    ln root/portals tmp/portals
    printf '#!/bin/sh\nexec "$@"\n' >bin/sudo && chmod 755 bin/sudo
"#;

/// Script that gives a router the interfaces that the pages name.
const INTERFACES: &str = "
    ip link set portal0 down && ip link set portal0 name eth1 && ip link set eth1 up
    for name in eth3 br30; do ip link add $name type veth peer name end-$name && ip link set $name up; done";

/// Search path of the shells.
const PATH: &str = "export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Kind of a machine: a script that makes the files of its firmware, and the commands of its init at boot.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    skeleton: &'static str,
    boot: &'static str,
}

/// Linux with systemd, where a program can be copied to a folder of the search path.
pub(crate) const LINUX: Kind = Kind { skeleton: "ln root/portals usr/local/bin/portals", ..SYSTEMD };

/// Linux with systemd.
pub(crate) const SYSTEMD: Kind = Kind { skeleton: "", boot: UNITS };

/// EdgeOS before version 2.
pub(crate) const EDGEOS: Kind = Kind {
    skeleton: "rm bin/systemctl && rm -r lib/systemd && mkdir -p config/scripts/post-config.d",
    boot: ":",
};

/// UniFi OS.
pub(crate) const UNIFI: Kind = Kind { skeleton: "mkdir -p data/unifi", boot: UNITS };

/// Linux with OpenRC: `rc-service` runs the command of the script once, and returns when the agent is ready.
pub(crate) const OPENRC: Kind = Kind {
    skeleton: r"
        rm bin/systemctl && rm -r lib/systemd && mkdir -p etc/runlevels/boot etc/runlevels/default
        mkdir -p etc/init.d
        cat >sbin/rc-service <<'END'
#!/bin/sh
. /etc/init.d/$1
case $2 in
start)
    setsid $command $command_args </dev/null >$error_log 2>&1 &
    echo $! >/run/openrc/pid
    until grep -q ready $error_log; do kill -0 $! || exit; sleep 0.1; done
    ;;
stop) kill $(cat /run/openrc/pid) ;;
esac
END
        chmod 755 sbin/rc-service
    ",
    boot: "mkdir /run/openrc",
};

/// OpenWrt.
pub(crate) const OPENWRT: Kind = Kind { skeleton: PROCD, boot: ":" };

/// Lines of a page that are still to be run, each with the number of the first line of its block.
type Lines = VecDeque<(usize, String)>;

/// Stage of a story.
pub(crate) struct Stage {
    lines: BTreeMap<&'static str, Lines>,
    machines: Vec<(Plot, Machine)>,
    world: Option<World>,
    /// Last token and last answer, which a reader pastes.
    pasted: BTreeMap<&'static str, String>,
}

/// Tells a story, which must run every command line of its pages, except for those in the list of lines that
/// are not run.
pub(crate) fn tell(pages: &'static [&'static str], story: fn(&mut Stage) -> Result<()>) {
    namespace::inside(move || {
        let lines = pages.iter().map(|page| (*page, unrun::lines_to_run(&Page::read(page)))).collect();
        let begun = Instant::now();
        let mut stage = Stage { lines, machines: Vec::new(), world: None, pasted: BTreeMap::new() };
        if let Err(error) = story(&mut stage) {
            for (plot, machine) in &stage.machines {
                println!("--- log of {}:\n{}", plot.name, machine.log());
            }
            panic!("{error}");
        }
        println!("{pages:?}: {:.1} s", begun.elapsed().as_secs_f32());
        stage.lines.retain(|_, lines| !lines.is_empty());
        assert!(stage.lines.is_empty(), "command lines that the story does not run: {:?}", stage.lines);
    });
}

impl Stage {
    /// Begins a scene: new machines of these kinds in a new world.
    pub(crate) fn scene(&mut self, machines: &[(Plot, Kind)]) -> Result<()> {
        self.machines.clear();
        self.world = None;
        let plots: Vec<Plot> = machines.iter().map(|(plot, _)| *plot).collect();
        let world = self.world.insert(World::build(&plots, &program())?);
        for (plot, Kind { skeleton, boot }) in machines {
            let site = world.site(*plot);
            shell(&site.router, INTERFACES)?;
            let mut machine = Machine::new(site, &[SYSTEMCTL, COMMON, skeleton].join("\n"))?;
            machine.boot(boot)?;
            self.machines.push((*plot, machine));
        }
        Ok(())
    }

    /// Runs the rest of the current block of a page, which begins with these words, in the home folder of
    /// root, and returns the output.
    pub(crate) fn run(&mut self, page: &str, plot: Plot, words: &str) -> Result<String> {
        self.run_in("/root", page, plot, words)
    }

    /// Runs the rest of the current block in a folder.
    pub(crate) fn run_in(&mut self, folder: &str, page: &str, plot: Plot, words: &str) -> Result<String> {
        let (block, line) = self.take(page, words)?;
        let mut block_lines = vec![line];
        let lines = self.lines.get_mut(page).expect("a page of this story");
        while lines.front().is_some_and(|(other, _)| *other == block) {
            block_lines.extend(lines.pop_front().map(|(_, line)| line));
        }
        if !block_lines.iter().any(|line| is_remote(line)) {
            return self.at(plot, &format!("cd {folder}\n{}", block_lines.join("\n")));
        }
        let mut told = String::new();
        for line in block_lines {
            told += &if is_remote(&line) {
                remote::run(self, folder, plot, &line)?
            } else {
                self.at(plot, &format!("cd {folder}\n{line}"))?
            };
        }
        Ok(told)
    }

    /// Runs one command line of the current block.
    pub(crate) fn run_line(&mut self, page: &str, plot: Plot, words: &str) -> Result<String> {
        let (_, line) = self.take(page, words)?;
        self.at(plot, &format!("cd /root\n{line}"))
    }

    /// Runs one command line, which ends with this status, and returns the output.
    pub(crate) fn run_with(&mut self, status: u8, page: &str, plot: Plot, words: &str) -> Result<String> {
        let (_, line) = self.take(page, words)?;
        self.at(plot, &format!("cd /root\nstatus=0\n{line} || status=$?\ntest $status = {status}"))
    }

    /// Runs one command line, which ends with this status, and checks that it prints the output that the page
    /// shows.
    pub(crate) fn run_shown(&mut self, status: u8, page: &str, plot: Plot, words: &str) -> Result<()> {
        let (block, _) = *self.lines[page].front().expect("a line");
        let told = self.run_with(status, page, plot, words)?;
        shown::check(&Page::read(page), block, &told)
    }

    /// Begins to run one command line, which waits for something. [`Self::ended`] waits for its end.
    pub(crate) fn begin(&mut self, page: &str, plot: Plot, words: &str) -> Result<()> {
        let (_, line) = self.take(page, words)?;
        self.begin_at(plot, &line)
    }

    /// Begins to run a command that is in no block.
    pub(crate) fn begin_at(&mut self, plot: Plot, line: &str) -> Result<()> {
        // Nothing of the shell in the background holds the output of the shell in front open.
        let script = format!("( {line} ) >/tmp/told 2>/tmp/complained && :; echo $? >/tmp/status");
        self.at(plot, &format!("rm -f /tmp/status /tmp/told\n{{ {script}\n}} </dev/null >/dev/null 2>&1 &"))
            .map(drop)
    }

    /// Waits until the command that began last at a machine has ended well.
    pub(crate) fn ended(&mut self, plot: Plot) -> Result<()> {
        within(seconds(60.0), "the command has ended", || {
            let status = self.machine(plot).run("cat /tmp/status")?;
            same("status", status.trim(), "0")
        })
    }

    /// Runs a script that is in no block.
    pub(crate) fn at(&mut self, plot: Plot, script: &str) -> Result<String> {
        let script = self
            .pasted
            .iter()
            .fold(script.to_owned(), |script, (begin, text)| script.replace(&format!("{begin}…"), text));
        let told = self.machine(plot).run(&format!("{PATH}\n{script}"))?;
        self.copy(&told);
        Ok(told)
    }

    /// Waits until the command that began last at a machine has printed a text that a reader pastes.
    pub(crate) fn copied(&mut self, plot: Plot, begin: &'static str) -> Result<()> {
        let mut told = String::new();
        eventually("the text is printed", || {
            told = self.machine(plot).run("cat /tmp/told")?;
            same(begin, told.starts_with(begin) && told.ends_with('\n'), true)
        })?;
        self.copy(&told);
        Ok(())
    }

    /// Keeps a token or an answer for the next command that needs one.
    fn copy(&mut self, told: &str) {
        for begin in ["p1.", "a1."] {
            let last = told.lines().rfind(|line| line.starts_with(begin));
            self.pasted.extend(last.map(|line| (begin, line.trim().to_owned())));
        }
    }

    /// Takes the next command line of a page.
    fn take(&mut self, page: &str, words: &str) -> Result<(usize, String)> {
        let lines = self.lines.get_mut(page).expect("a page of this story");
        match lines.pop_front() {
            Some((block, line)) if line.starts_with(words) => Ok((block, line)),
            next => Err(Error::failed(format!("{page}: the next line is {next:?}, and not `{words}`"))),
        }
    }

    /// Returns the places of the machines of this scene.
    pub(crate) fn plots(&self) -> impl Iterator<Item = Plot> {
        self.machines.iter().map(|(plot, _)| *plot)
    }

    /// Returns the machine at a place of the world.
    pub(crate) fn machine(&self, plot: Plot) -> &Machine {
        &self.machines.iter().find(|(other, _)| *other == plot).expect("a machine of this scene").1
    }

    /// Returns the site at a place of the world.
    pub(crate) fn site(&mut self, plot: Plot) -> &mut DemoSite {
        self.world.as_mut().expect("a scene").site(plot)
    }

    /// Waits until the guest of a site is seen under the address of another one.
    pub(crate) fn guest_is_at(&mut self, plot: Plot, exit: Plot) -> Result<()> {
        let site = self.site(plot);
        eventually("the guest leaves at the exit", || {
            let seen = site.guest(seconds(3.0)).who_am_i(plot.own_server())?;
            same("address of the guest", seen.to_string(), exit.address.to_string())
        })
    }
}
