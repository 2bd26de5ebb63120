//! Command lines of `portals version` and `portals completions`.

use super::fields::command;

command! {
    /// Print the version.
    pub struct VersionCommand = "version" {}
}

command! {
    /// Print the completions of commands and options for a shell.
    pub struct CompletionsCommand = "completions",
        example "portals completions bash > /etc/bash_completion.d/portals\n\
               portals completions zsh > ~/.zfunc/_portals\n\
               portals completions fish > ~/.config/fish/completions/portals.fish"
    {
        /// bash, zsh or fish; their scripts ask `words` for the words that may come next
        pub shell: String = "<shell>";

        /// the command line so far, for `words`
        pub words: Vec<String> = "<word...>";
    }
}
