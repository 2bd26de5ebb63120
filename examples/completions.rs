//! Shell completions: `cargo run --example completions bash` prints those for bash; fish and zsh work, too.

use argh::ArgsInfo as _;
use argh_complete::Generator as _;
use argh_complete::bash::Bash;
use argh_complete::fish::Fish;
use argh_complete::zsh::Zsh;
use wg_portals::cli::Cli;

fn main() {
    let generate = match std::env::args().nth(1).as_deref() {
        Some("bash") => Bash::generate,
        Some("fish") => Fish::generate,
        Some("zsh") => Zsh::generate,
        _ => panic!("name a shell: bash, fish or zsh"),
    };
    print!("{}", generate("portals", &Cli::get_args_info()));
}
