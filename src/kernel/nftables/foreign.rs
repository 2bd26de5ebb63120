//! Chains of other programs: the survey of chains that refuse unknown packets, and our rules at the top of
//! these chains.

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE};
use nix::libc;

use super::rule;

use super::call::{self, INET, TABLE_NAME};
use super::transaction::NftablesBatch;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::xtables::CHAIN_PREFIX;
use crate::firewall::{Chain, FirewallRule, ForeignChain, PINHOLE_COMMENT, PinholeChain, TABLE, TableFamily};
use crate::kernel::attributes::Attributes;
use crate::kernel::constant::of_8_bits;
use crate::kernel::message::Message;
use crate::kernel::netlink::{Frame, Refusal, frames};
use crate::kernel::nfnetlink::{self, Nfnetlink, attributes};

const TABLE_FLAGS: u16 = 2;
/// NFT_TABLE_F_OWNER: only the program that made the table may change it.
const OWNED: u32 = 2;

const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;

const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;

/// NFTA_IMMEDIATE_DREG, NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CODE and NFTA_VERDICT_CHAIN.
const IMMEDIATE_REGISTER: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const VERDICT: u32 = libc::NFT_REG_VERDICT.cast_unsigned();
const DROP: i32 = libc::NF_DROP;
const JUMP: i32 = libc::NFT_JUMP;
const GOTO: i32 = libc::NFT_GOTO;

/// NFTA_META_KEY, and the keys for interfaces: NFT_META_IIF, _OIF, _IIFNAME and _OIFNAME.
const META_KEY: u16 = 2;
/// The keys that ask for interfaces.
const OF_INTERFACES: [u32; 4] = [
    libc::NFT_META_IIF.cast_unsigned(),
    libc::NFT_META_OIF.cast_unsigned(),
    libc::NFT_META_IIFNAME.cast_unsigned(),
    libc::NFT_META_OIFNAME.cast_unsigned(),
];

/// NFTA_TARGET_NAME, in the expression that `iptables-nft` writes for a target that nftables lacks.
const TARGET_NAME: u16 = 1;

/// NFTNL_UDATA_RULE_COMMENT. nft keeps a comment as this byte, the length with the closing zero, and the
/// text.
const COMMENT: u8 = 0;

/// Survey of other programs' chains.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Chains that refuse unknown packets, each with our chain at the same hook.
    pub refusing: Vec<(ForeignChain, Chain)>,
    /// Rules of ours in other programs' chains.
    pub pinholes: SortedMap<ForeignChain, PinholeChain>,
    /// Chains that refuse unknown packets and that only the owner of their table may change, as nft names
    /// them.
    pub locked: SortedSet<String>,
    /// True if iptables programs that write nftables have chains of ours.
    pub has_iptables_chains: bool,
    /// Chain of another program that translates addresses, if there is one.
    pub translating: Option<ForeignChain>,
}

/// Asks for all that a survey of the ruleset needs. The answers also tell whether the ruleset changed
/// meanwhile.
pub(super) fn ask(socket: &mut Nfnetlink) -> Result<Vec<u8>, Refusal> {
    let mut answers = socket.dump_all(call::GET_CHAIN)?;
    let ruleset = ForeignRuleset::of(&answers);
    // Most routers have no chains of other programs, and then no more questions are necessary.
    if ruleset.has_bases || ruleset.has_iptables_chains {
        answers.extend(socket.dump_all(call::GET_RULE)?);
        answers.extend(socket.dump_all(call::GET_TABLE)?);
    }
    Ok(answers)
}

/// Reads a survey from all answers together.
pub(crate) fn read(answers: &[u8]) -> Survey {
    ForeignRuleset::of(answers).survey(answers)
}

/// Returns the batch that puts `to` at the top of a chain in place of all our rules there; `None` if there is
/// nothing to do.
pub(super) fn batch(
    socket: &mut Nfnetlink,
    chain: &ForeignChain,
    to: &PinholeChain,
) -> Result<Option<Vec<Message>>, Refusal> {
    let rules = socket.dump_all(call::GET_RULE)?;
    let mut old = Vec::new();
    for frame in objects(&rules, call::NEW_RULE) {
        let attributes = attributes(frame.payload);
        if place(&frame, RULE_CHAIN).as_ref() == Some(chain) && is_opening(attributes) {
            old.extend(attributes.bytes(RULE_HANDLE));
        }
    }
    let mut left = old.len() + to.rules.iter().flatten().count();
    if left == 0 {
        return Ok(None);
    }
    let mut batch = NftablesBatch::begin(family_number(chain.family), &chain.table);
    let mut push = |kind, flags, (attribute, value): (u16, &[u8]), rule: Option<&FirewallRule>| {
        left -= 1;
        let acknowledge = if left == 0 { NLM_F_ACK } else { 0 };
        let mut object = batch.object();
        object.text(RULE_CHAIN, &chain.name);
        if let Some(rule) = rule {
            rule::encode_expressions(rule, &mut object);
        }
        object.bytes(attribute, value);
        batch.push(kind, flags | acknowledge, object);
    };
    for handle in old {
        push(call::DELETE_RULE, 0, (RULE_HANDLE, handle), None);
    }
    // The kernel puts each new rule in front of all others, so the last rule comes first.
    for opened in to.rules.iter().flatten().rev() {
        push(call::NEW_RULE, NLM_F_CREATE, (RULE_USERDATA, &comment()), Some(opened));
    }
    Ok(Some(batch.end()))
}

/// Chains and rules of other programs, as far as they matter here.
#[derive(Default)]
struct ForeignRuleset {
    chains: SortedMap<ForeignChain, ChainContent>,
    /// True if one of the chains is a base chain at a hook of ours.
    has_bases: bool,
    has_iptables_chains: bool,
    translating: Option<ForeignChain>,
}

/// Content of another program's chain, as far as it matters here.
#[derive(Default)]
struct ChainContent {
    /// Our chain at the same hook, if this is a base chain at such a hook.
    own: Option<Chain>,
    /// True if the policy is to drop, or if a rule refuses all packets that no rule before it knew.
    refuses: bool,
    /// Chains to which rules send packets of some interfaces, or all packets: firewalls build zones so.
    goes_to: Vec<String>,
    /// True if the chain has a rule of another program.
    has_others: bool,
    ours: PinholeChain,
}

impl ForeignRuleset {
    fn of(answers: &[u8]) -> Self {
        let mut ruleset = Self::default();
        for frame in objects(answers, call::NEW_CHAIN) {
            if let Some(chain) = place(&frame, CHAIN_NAME) {
                ruleset.add_chain(chain, attributes(frame.payload));
            }
        }
        for frame in objects(answers, call::NEW_RULE) {
            if let Some(chain) = place(&frame, RULE_CHAIN) {
                ruleset.chains.get_or_default(chain).add_rule(attributes(frame.payload));
            }
        }
        ruleset
    }

    fn add_chain(&mut self, chain: ForeignChain, attributes: Attributes) {
        self.has_iptables_chains |= chain.name.starts_with(CHAIN_PREFIX);
        let hook = attributes.nested(CHAIN_HOOK).number(HOOK_NUMBER);
        match attributes.text(CHAIN_TYPE) {
            Some("nat") if hook.is_some() => drop(self.translating.get_or_insert(chain)),
            Some("filter") => {
                let same_hook = |own: &Chain| Some(own.hook().number) == hook;
                let own = [Chain::Input, Chain::Forward].into_iter().find(same_hook);
                self.has_bases |= own.is_some();
                let refuses = own.is_some() && attributes.number(CHAIN_POLICY) == Some(DROP.cast_unsigned());
                self.chains.insert(chain, ChainContent { own, refuses, ..ChainContent::default() });
            }
            _ => {}
        }
    }

    fn survey(self, answers: &[u8]) -> Survey {
        let mut survey = Survey { has_iptables_chains: self.has_iptables_chains, ..Survey::default() };
        for (chain, content) in &self.chains {
            if let Some(own) = content.own
                && self.refuses(chain, &mut Vec::new())
            {
                if is_owned(chain, answers) {
                    survey.locked.insert(chain.to_string());
                } else {
                    survey.refusing.push((chain.clone(), own));
                }
            }
        }
        for (chain, content) in self.chains {
            if !content.ours.rules.is_empty() {
                survey.pinholes.insert(chain, content.ours);
            }
        }
        survey.translating = self.translating;
        survey
    }

    /// Reports whether a chain refuses unknown packets.
    fn refuses(&self, chain: &ForeignChain, seen: &mut Vec<ForeignChain>) -> bool {
        if chain.name.starts_with(CHAIN_PREFIX) || seen.contains(chain) {
            return false;
        }
        seen.push(chain.clone());
        self.chains.get(chain).is_some_and(|content| {
            let refuses =
                |name: &String| self.refuses(&ForeignChain { name: name.clone(), ..chain.clone() }, seen);
            content.refuses || content.goes_to.iter().any(refuses)
        })
    }
}

impl ChainContent {
    /// Adds a rule. A rule without a condition decides on the packets that no rule before it knew. Packets
    /// that any other condition than an interface picks, such as a blocked address, are known.
    fn add_rule(&mut self, attributes: Attributes) {
        if is_opening(attributes) {
            self.ours.at_top = !self.has_others;
            self.ours.rules.push(rule::decode_expressions(attributes));
            return;
        }
        self.has_others = true;
        let (mut unconditional, mut by_interface) = (true, true);
        for expression in attributes.nested(RULE_EXPRESSIONS).elements() {
            let data = expression.nested(EXPRESSION_DATA);
            match expression.text(EXPRESSION_NAME) {
                Some("counter" | "log") => {}
                Some("immediate") if data.number(IMMEDIATE_REGISTER) == Some(VERDICT) => {
                    let verdict = data.nested(IMMEDIATE_DATA).nested(DATA_VERDICT);
                    match verdict.number(VERDICT_CODE).map(u32::cast_signed) {
                        Some(DROP) => self.refuses |= unconditional,
                        Some(JUMP | GOTO) if by_interface => {
                            self.goes_to.extend(verdict.text(VERDICT_CHAIN).map(str::to_owned));
                        }
                        _ => {}
                    }
                    return;
                }
                Some("meta") => {
                    unconditional = false;
                    by_interface &= data.number(META_KEY).is_some_and(|key| OF_INTERFACES.contains(&key));
                }
                // These expressions compare a value that was loaded before.
                Some("cmp" | "lookup") => unconditional = false,
                name => {
                    let is_target = name == Some("target") && data.text(TARGET_NAME) == Some("REJECT");
                    self.refuses |= unconditional && (is_target || name == Some("reject"));
                    (unconditional, by_interface) = (false, false);
                }
            }
        }
    }
}

fn objects(answers: &[u8], kind: u16) -> impl Iterator<Item = Frame<'_>> {
    frames(answers).filter(move |frame| frame.kind == kind)
}

/// Returns the chain that a message is about, unless it belongs to our own table. `name` is the attribute
/// that names the chain.
fn place(frame: &Frame, name: u16) -> Option<ForeignChain> {
    let attributes = attributes(frame.payload);
    let (table, name) = (attributes.text(TABLE_NAME)?, attributes.text(name)?);
    let family = family(nfnetlink::family_of(frame.payload)?)?;
    if family == TableFamily::Inet && table == TABLE {
        return None;
    }
    Some(ForeignChain { family, table: table.to_owned(), name: name.to_owned() })
}

/// Reports whether only its owner may change the table of a chain.
fn is_owned(chain: &ForeignChain, answers: &[u8]) -> bool {
    objects(answers, call::NEW_TABLE).any(|frame| {
        let attributes = attributes(frame.payload);
        nfnetlink::family_of(frame.payload) == Some(family_number(chain.family))
            && attributes.text(TABLE_NAME) == Some(&chain.table)
            && attributes.number(TABLE_FLAGS).is_some_and(|flags| flags & OWNED != 0)
    })
}

pub(super) fn is_opening(attributes: Attributes) -> bool {
    attributes.bytes(RULE_USERDATA) == Some(&comment())
}

fn comment() -> Vec<u8> {
    let length = u8::try_from(PINHOLE_COMMENT.len() + 1).expect("a short word");
    [&[COMMENT, length], PINHOLE_COMMENT.as_bytes(), &[0]].concat()
}

/// Number of a table's family: NFPROTO_*.
fn family_number(family: TableFamily) -> u8 {
    match family {
        TableFamily::Inet => INET,
        TableFamily::Ip => of_8_bits(libc::NFPROTO_IPV4),
        TableFamily::Ip6 => of_8_bits(libc::NFPROTO_IPV6),
    }
}

fn family(number: u8) -> Option<TableFamily> {
    [TableFamily::Ip, TableFamily::Ip6, TableFamily::Inet]
        .into_iter()
        .find(|family| family_number(*family) == number)
}
