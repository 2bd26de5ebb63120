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
use crate::kernel::attributes::{AttributeWriter, Attributes};
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

/// Surveys the ruleset. The answers of the kernel are returned too, because they tell whether the ruleset
/// changed meanwhile.
pub(super) fn survey(socket: &mut Nfnetlink) -> Result<(Survey, Vec<u8>), Refusal> {
    let mut answers = socket.dump_all(call::GET_CHAIN)?;
    let mut ruleset = ForeignRuleset::default();
    for frame in objects(&answers, call::NEW_CHAIN) {
        ruleset.add_chain(&frame);
    }
    // Most routers have no chains of other programs, and then no more questions are necessary.
    if ruleset.is_empty() {
        return Ok((Survey { translating: ruleset.translating, ..Survey::default() }, answers));
    }
    let rules = socket.dump_all(call::GET_RULE)?;
    for frame in objects(&rules, call::NEW_RULE) {
        ruleset.add_rule(&frame);
    }
    let tables = socket.dump_all(call::GET_TABLE)?;
    let mut survey = ruleset.survey();
    survey.set_aside(&objects(&tables, call::NEW_TABLE).filter_map(|frame| owned_table(&frame)).collect());
    answers.extend(rules);
    answers.extend(tables);
    Ok((survey, answers))
}

/// Reads a survey from all answers together.
#[cfg(fuzzing)]
pub(crate) fn read(answers: &[u8]) -> Survey {
    let mut ruleset = ForeignRuleset::default();
    for frame in objects(answers, call::NEW_CHAIN) {
        ruleset.add_chain(&frame);
    }
    for frame in objects(answers, call::NEW_RULE) {
        ruleset.add_rule(&frame);
    }
    let mut survey = ruleset.survey();
    survey.set_aside(&objects(answers, call::NEW_TABLE).filter_map(|frame| owned_table(&frame)).collect());
    survey
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
    let new: Vec<&FirewallRule> = to.rules.iter().flatten().collect();
    let last = old.len() + new.len();
    let mut number = 0;
    let mut batch = NftablesBatch::begin();
    let mut send = |kind, flags, body: &dyn Fn(&mut AttributeWriter)| {
        number += 1;
        let acknowledge = if number == last { NLM_F_ACK } else { 0 };
        batch.push(kind, flags | acknowledge, family_number(chain.family), &|writer| {
            writer.text(TABLE_NAME, &chain.table);
            writer.text(RULE_CHAIN, &chain.name);
            body(writer);
        });
    };
    for handle in old {
        send(call::DELETE_RULE, 0, &|writer| writer.bytes(RULE_HANDLE, handle));
    }
    // The kernel puts each new rule in front of all others, so the last rule comes first.
    for opened in new.into_iter().rev() {
        send(call::NEW_RULE, NLM_F_CREATE, &|writer| {
            rule::encode_expressions(opened, writer);
            writer.bytes(RULE_USERDATA, &comment());
        });
    }
    Ok((last > 0).then(|| batch.end()))
}

impl Survey {
    /// Moves refusing chains in owned tables to `locked`: only the owner may change these tables.
    fn set_aside(&mut self, owned: &SortedSet<(TableFamily, String)>) {
        let is_owned = |chain: &ForeignChain| owned.contains(&(chain.family, chain.table.clone()));
        let (locked, free): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.refusing).into_iter().partition(|(chain, _)| is_owned(chain));
        self.locked = locked.into_iter().map(|(chain, _)| chain.to_string()).collect();
        self.refusing = free;
    }
}

/// Chains and rules of other programs, as far as they matter here.
#[derive(Default)]
struct ForeignRuleset {
    /// Base chains at our hooks, each with our chain there and whether the policy is to drop.
    bases: SortedMap<ForeignChain, (Chain, bool)>,
    rules: SortedMap<ForeignChain, Vec<ForeignRule>>,
    has_iptables_chains: bool,
    translating: Option<ForeignChain>,
}

/// Rule of another program, as far as it matters here.
enum ForeignRule {
    Ours(Option<FirewallRule>),
    RefusesAll,
    GoesTo(String),
    Other,
}

impl ForeignRuleset {
    fn is_empty(&self) -> bool {
        self.bases.is_empty() && !self.has_iptables_chains
    }

    fn add_chain(&mut self, frame: &Frame) -> Option<()> {
        let attributes = attributes(frame.payload);
        let chain = place(frame, CHAIN_NAME)?;
        self.has_iptables_chains |= chain.name.starts_with(CHAIN_PREFIX);
        let hook = attributes.nested(CHAIN_HOOK).number(HOOK_NUMBER)?;
        if attributes.text(CHAIN_TYPE) == Some("nat") {
            self.translating.get_or_insert_with(|| chain.clone());
        }
        let same_hook = |own: &Chain| own.hook().number == hook && own.hook().kind == "filter";
        let own = [Chain::Input, Chain::Forward].into_iter().find(same_hook)?;
        if attributes.text(CHAIN_TYPE) == Some("filter") {
            let drops = attributes.number(CHAIN_POLICY) == Some(DROP.cast_unsigned());
            self.bases.insert(chain, (own, drops));
        }
        Some(())
    }

    fn add_rule(&mut self, frame: &Frame) -> Option<()> {
        let attributes = attributes(frame.payload);
        let rule = if is_opening(attributes) {
            ForeignRule::Ours(rule::decode_expressions(attributes))
        } else {
            what_it_does(attributes)
        };
        self.rules.get_or_default(place(frame, RULE_CHAIN)?).push(rule);
        Some(())
    }

    fn survey(&self) -> Survey {
        let refusing = self
            .bases
            .iter()
            .filter(|(chain, (_, drops))| *drops || self.refuses(chain, &mut SortedSet::new()))
            .map(|(chain, (own, _))| (chain.clone(), *own));
        let pinholes = self.rules.iter().filter_map(|(chain, rules)| Some((chain.clone(), opened(rules)?)));
        Survey {
            refusing: refusing.collect(),
            pinholes: pinholes.collect(),
            locked: SortedSet::new(),
            has_iptables_chains: self.has_iptables_chains,
            translating: self.translating.clone(),
        }
    }

    /// Reports whether a chain refuses unknown packets. A rule without a condition decides on the packets
    /// that no rule before it knew. A chain for the traffic of some interfaces counts as well, because
    /// firewalls build zones so.
    fn refuses(&self, chain: &ForeignChain, seen: &mut SortedSet<ForeignChain>) -> bool {
        if chain.name.starts_with(CHAIN_PREFIX) || !seen.insert(chain.clone()) {
            return false;
        }
        let rules = self.rules.get(chain).map_or(&[][..], Vec::as_slice);
        rules.iter().any(|rule| match rule {
            ForeignRule::RefusesAll => true,
            ForeignRule::GoesTo(name) => {
                self.refuses(&ForeignChain { name: name.clone(), ..chain.clone() }, seen)
            }
            ForeignRule::Ours(_) | ForeignRule::Other => false,
        })
    }
}

fn opened(rules: &[ForeignRule]) -> Option<PinholeChain> {
    let ours = |rule: &ForeignRule| match rule {
        ForeignRule::Ours(rule) => Some(rule.clone()),
        _ => None,
    };
    let all: Vec<Option<FirewallRule>> = rules.iter().filter_map(ours).collect();
    let at_top = rules.iter().take(all.len()).all(|rule| matches!(rule, ForeignRule::Ours(_)));
    (!all.is_empty()).then_some(PinholeChain { rules: all, at_top })
}

/// Reads the effect of another program's rule.
fn what_it_does(attributes: Attributes) -> ForeignRule {
    let (mut unconditional, mut by_interface) = (true, true);
    for expression in attributes.nested(RULE_EXPRESSIONS).elements() {
        let data = expression.nested(EXPRESSION_DATA);
        match expression.text(EXPRESSION_NAME) {
            Some("counter" | "log") => {}
            Some("reject") if unconditional => return ForeignRule::RefusesAll,
            Some("target") if unconditional && data.text(TARGET_NAME) == Some("REJECT") => {
                return ForeignRule::RefusesAll;
            }
            Some("immediate") if data.number(IMMEDIATE_REGISTER) == Some(VERDICT) => {
                let verdict = data.nested(IMMEDIATE_DATA).nested(DATA_VERDICT);
                return match (verdict.number(VERDICT_CODE).map(u32::cast_signed), verdict.text(VERDICT_CHAIN))
                {
                    (Some(DROP), _) if unconditional => ForeignRule::RefusesAll,
                    // Packets that any other condition picks, such as a blocked address, are known.
                    (Some(JUMP | GOTO), Some(chain)) if by_interface => ForeignRule::GoesTo(chain.to_owned()),
                    _ => ForeignRule::Other,
                };
            }
            Some("meta") => {
                unconditional = false;
                by_interface &= data.number(META_KEY).is_some_and(|key| OF_INTERFACES.contains(&key));
            }
            // These expressions compare a value that was loaded before.
            Some("cmp" | "lookup") => unconditional = false,
            _ => (unconditional, by_interface) = (false, false),
        }
    }
    ForeignRule::Other
}

fn objects(answers: &[u8], kind: u16) -> impl Iterator<Item = Frame<'_>> {
    frames(answers).filter(move |frame| frame.kind == kind)
}

/// Returns the chain that a message is about, unless it belongs to our own table. `name` is the attribute
/// that names the chain.
fn place(frame: &Frame, name: u16) -> Option<ForeignChain> {
    let attributes = attributes(frame.payload);
    let table = attributes.text(TABLE_NAME)?;
    let family = family(nfnetlink::family_of(frame.payload)?)?;
    let ours = family == TableFamily::Inet && table == TABLE;
    let chain = ForeignChain { family, table: table.to_owned(), name: attributes.text(name)?.to_owned() };
    (!ours).then_some(chain)
}

fn owned_table(frame: &Frame) -> Option<(TableFamily, String)> {
    let attributes = attributes(frame.payload);
    let owned = attributes.number(TABLE_FLAGS)? & OWNED != 0;
    owned.then_some((family(nfnetlink::family_of(frame.payload)?)?, attributes.text(TABLE_NAME)?.to_owned()))
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
