//! Commands in the documentation: the program knows each command line of portals.

mod pages;
mod parsed;
mod words;
