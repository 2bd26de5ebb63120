'use strict';
'require view';
'require fs';
'require poll';
'require ui';
'require dom';

/* The texts that come from the router go into the page as text: E() and dom.content() take a bare string for
   HTML, and the strings of an array for text. */

/* The program, as a person runs it in a shell. */
const PROGRAM = '/usr/sbin/portals';

/* Folder with a wrapper for each command of this page. The ACL allows only the wrappers: an rpcd from before
   June 2023 does not compare all words of a command with the ACL, and passes an environment on. A wrapper
   adds the options itself, and drops the environment and all words but the names for `exit`. */
const WRAPPERS = '/usr/libexec/portals-luci/';

/* Longest wait for the doctor, in seconds. rpcd gives a program 30 seconds, and LuCI gives a call only 20. */
const DOCTOR_PATIENCE = 35;

/* Reason of an exit that a person has chosen, in the JSON of `portals status`. */
const BY_HAND = 'chosen by hand';

/* Word for `portals exit` in place of an exit: the agent chooses. */
const AUTO = 'auto';

function commandLine(words) {
	return [ PROGRAM ].concat(words).join(' ');
}

/* Runs a command of portals, and returns its exit code and its output. */
function run(words) {
	const names = words[1] === '--' ? words.slice(2) : [];

	return fs.exec(WRAPPERS + words[0], names).then(res => {
		/* The wrapper has not found the program. */
		if (res.code === 127)
			throw new Error(_('There is no %s on this router. Install the package portals.').format(PROGRAM));

		return res;
	}, err => {
		const command = commandLine(words);

		if (err.name === 'PermissionError')
			throw new Error(_('This login may not run "%s". Log in as root, or give this login access to portals in /etc/config/rpcd.').format(command));

		throw new Error(_('No answer to "%s": %s. Run it in a shell on the router.').format(command, err.message));
	});
}

/* Makes a call with another time limit. LuCI reads the limit when the call begins. */
function withPatience(seconds, call) {
	const usual = L.env.rpctimeout;

	L.env.rpctimeout = Math.max(usual || 0, seconds);

	try {
		return call();
	}
	finally {
		L.env.rpctimeout = usual;
	}
}

/* Runs portals, and returns its output; fails with its message. */
function told(words) {
	return run(words).then(res => {
		if (res.code !== 0)
			throw new Error((res.stderr || res.stdout || '').trim()
				|| _('"%s" failed with code %d.').format(commandLine(words), res.code));

		return res.stdout || '';
	});
}

/* Reads the JSON that a command has printed. */
function parsed(words, text) {
	try {
		return JSON.parse(text);
	}
	catch (err) {
		throw new Error(_('"%s" printed no JSON. Install the same version of the packages portals and luci-app-portals.').format(commandLine(words)));
	}
}

/* Lines of text, which wrap anywhere on a narrow screen. */
function lines(text) {
	return E('div', { 'style': 'white-space:pre-wrap;overflow-wrap:anywhere' }, [ text ]);
}

/* An error of portals, which marks a fault in the network file on the line below the fault. */
function error(text) {
	const node = lines(text);

	node.style.fontFamily = 'monospace';

	return node;
}

function label(kind, text) {
	return E('span', { 'class': 'label ' + kind }, [ text ]);
}

function warning(text) {
	return E('div', { 'class': 'alert-message warning' }, [ lines(text) ]);
}

/* A table, which LuCI's themes show as a list on a narrow screen. Each cell has its title there. `rows` are null
   if nothing is known. */
function table(titles, rows, nothing) {
	if (rows == null)
		return E('p', [ E('em', [ _('unknown') ]) ]);

	const shown = rows.map((cells, number) => E('tr', { 'class': 'tr cbi-rowstyle-%d'.format(1 + number % 2) },
		cells.map((cell, column) => E('td', { 'class': 'td', 'data-title': titles[column] }, [].concat(cell)))));

	if (shown.length === 0)
		shown.push(E('tr', { 'class': 'tr placeholder' }, [ E('td', { 'class': 'td' }, [ E('em', [ nothing ]) ]) ]));

	return E('table', { 'class': 'table' }, [
		E('tr', { 'class': 'tr table-titles' }, titles.map(title => E('th', { 'class': 'th' }, [ title ])))
	].concat(shown));
}

function ago(seconds) {
	if (seconds < 120)
		return _('%d s ago').format(seconds);

	if (seconds < 7200)
		return _('%d min ago').format(seconds / 60);

	if (seconds < 172800)
		return _('%d h ago').format(seconds / 3600);

	return _('%d days ago').format(seconds / 86400);
}

function portalState(state) {
	switch (state) {
	case 'open':
		return label('success', _('open'));

	case 'failed-over':
		return label('warning', _('failed over'));

	case 'direct':
		return label('notice', _('direct'));

	case 'blocked':
		return label('important', _('blocked'));

	default:
		return label('notice', state);
	}
}

function linkState(link) {
	if (!link.up)
		return label('important', _('down'));

	if (link.not_answering_s != null)
		return label('warning', _('not answering'));

	return label('success', _('up'));
}

function pathOf(link) {
	switch (link.path) {
	case 'direct':
		return _('direct');

	case 'local':
		return _('local');

	case 'mapped':
		return _('direct, port mapped by %s').format(link.by);

	case 'relayed':
		return _('relayed by %s').format(link.by);

	default:
		return link.path;
	}
}

/* Label of an exit in the choice of a portal. */
function choiceOf(exit, states) {
	switch (states[exit]) {
	case 'up':
		return _('%s (up)').format(exit);

	case 'down':
		return _('%s (down)').format(exit);

	case 'unproven':
		return _('%s (not proven yet)').format(exit);

	default:
		return exit;
	}
}

/* Sentences about a link for people, and what to do. */
function remarks(link) {
	const found = (link.tried || []).slice();

	if (link.port_mapping)
		found.push(link.port_mapping);

	if (link.is_itself)
		found.push(_('This address is the router itself. Correct the endpoint of %s in the network file.').format(link.peer));

	return found;
}

function linkRow(link) {
	const state = [ linkState(link) ];

	if (link.path)
		state.push(' ', pathOf(link));

	remarks(link).forEach(text => state.push(lines(text)));

	return [
		link.peer,
		link.interface,
		state,
		link.handshake_age_s == null ? _('never') : ago(link.handshake_age_s),
		'%1024.1mB'.format(link.rx_bytes),
		'%1024.1mB'.format(link.tx_bytes),
		link.endpoint == null ? _('none') : lines(link.endpoint)
	];
}

/* A finding of the doctor: its mark, what was seen, why it matters, and the way out. */
function finding(found) {
	const kinds = {
		'wrong': [ 'danger', '✗' ],
		'note': [ 'warning', '!' ],
		'not checked': [ 'notice', '-' ]
	};
	const kind = kinds[found.verdict] || [ 'notice', found.verdict ];
	const parts = [ E('strong', [ kind[1] + ' ' + found.check ]), lines(found.seen) ];

	if (found.why)
		parts.push(lines(found.why));

	if (found.way_out)
		parts.push(lines('→ ' + found.way_out));

	return E('div', { 'class': 'alert-message ' + kind[0] }, parts);
}

return view.extend({
	handleSave: null,
	handleSaveApply: null,
	handleReset: null,

	load: function() {
		/* JSON of the data in each part of the page: a part is drawn anew only if its data has changed, so that
		   an open list of exits stays open, and a button keeps the focus. */
		this.shown = {};
		this.parts = {};
		/* The last notification about each matter. */
		this.notices = {};
		this.reason = null;
		this.turn = 0;

		return this.look();
	},

	/* Asks for the status; null if there is none. */
	look: function() {
		const words = [ 'status', '--json' ];

		return told(words).then(text => parsed(words, text)).then(status => {
			this.complain(null);

			return status;
		}, err => {
			this.complain(err.message);

			return null;
		});
	},

	/* Says once why there is no status. */
	complain: function(reason) {
		if (this.reason === reason)
			return;

		this.reason = reason;
		this.notify('status', 'danger', reason);
	},

	/* Shows a notification in place of the last one about the same matter. */
	notify: function(matter, kind, text) {
		if (this.notices[matter])
			this.notices[matter].remove();

		this.notices[matter] = text ? ui.addNotification(null, kind === 'danger' ? error(text) : lines(text), kind) : null;
	},

	/* Asks for the status, and shows it unless it was asked for again meanwhile. */
	refresh: function() {
		const turn = ++this.turn;

		return this.look().then(status => {
			if (turn === this.turn)
				this.draw(status);
		});
	},

	/* Gives an order to portals, and shows its answer. */
	order: function(words) {
		return told(words).then(text => this.notify('order', 'info', text.trim()), err => {
			this.notify('order', 'danger', err.message);
		}).then(() => {
			/* The button and the choice show what is in force, not what was wanted. */
			delete this.shown.orders;
			delete this.shown.portals;

			return this.refresh();
		});
	},

	choose: function(portal, ev) {
		return this.order([ 'exit', '--', portal, ev.currentTarget.value ]);
	},

	/* Has the doctor check the router. Its exit code tells whether something is wrong. */
	examine: function() {
		const words = [ 'doctor', '--json' ];

		dom.content(this.parts.doctor, [ E('p', { 'class': 'spinning' }, [ _('The doctor is checking…') ]) ]);
		this.notify('doctor', 'danger', null);

		return withPatience(DOCTOR_PATIENCE, () => run(words)).then(res => {
			const report = parsed(words, res.stdout || '');

			dom.content(this.parts.doctor, this.drawFindings(report.findings));
		}).catch(err => {
			dom.content(this.parts.doctor, null);
			this.notify('doctor', 'danger', err.message);
		});
	},

	/* Draws a part of the page if its data has changed. */
	update: function(name, data, draw) {
		const text = JSON.stringify(data);

		if (this.shown[name] === text)
			return;

		this.shown[name] = text;
		dom.content(this.parts[name], draw.call(this, data));
	},

	draw: function(status) {
		const known = status || { agent: null, portals: null, links: null };
		const states = {};

		(known.exits || []).forEach(exit => { states[exit.name] = exit.state });

		this.update('site', {
			network: known.network,
			site: known.site,
			agent: known.agent,
			wireguard: known.wireguard,
			firewall: known.firewall,
			missing: known.missing || [],
			problem: known.file ? known.file.problem : null,
			unconfirmed: known.unconfirmed_s
		}, this.drawSite);
		this.update('orders', known.agent, this.drawOrders);
		this.update('portals', known.portals && known.portals.map(portal => ({
			name: portal.name,
			entrance: portal.entrance,
			exit: portal.exit,
			address: portal.exit_address,
			state: portal.state,
			reason: portal.reason,
			why: portal.why,
			choices: (portal.exits || []).map(exit => [ exit, choiceOf(exit, states) ]),
			agent: known.agent
		})), this.drawPortals);
		this.update('links', known.links, this.drawLinks);
	},

	drawSite: function(site) {
		if (site.agent == null)
			return [ E('p', [ _('The state of the portals is unknown: see the message above.') ]) ];

		const parts = [ E('p', [
			_('Site %s of the network %s').format(site.site, site.network), ' ',
			site.agent ? label('success', _('agent running')) : label('important', _('no agent')), ' ',
			_('WireGuard: %s, firewall: %s').format(site.wireguard, site.firewall)
		]) ];

		if (!site.agent)
			parts.push(warning(_('Nothing repairs the portals while no agent runs. Press Start.')));

		if (site.unconfirmed != null)
			parts.push(warning(_('A change is undone in %d s unless you run "portals confirm" in a shell on the router.').format(site.unconfirmed)));

		if (site.problem)
			parts.push(warning(site.problem));

		return parts.concat(site.missing.map(warning));
	},

	drawOrders: function(agent) {
		const isReadOnly = !L.hasViewPermission();
		const button = (kind, word, title, isUseless) => E('button', {
			'class': 'btn cbi-button cbi-button-' + kind,
			'click': ui.createHandlerFn(this, 'order', [ word ]),
			'disabled': isReadOnly || isUseless ? '' : null
		}, [ title ]);

		return [
			button('apply', 'start', _('Start'), agent === true), ' ',
			button('reset', 'stop', _('Stop'), agent === false), ' ',
			button('action', 'restart', _('Restart'), agent === false)
		];
	},

	drawPortals: function(portals) {
		return table(
			[ _('Portal'), _('Entrance'), _('Exit now'), _('State'), _('Choice') ],
			portals && portals.map(portal => {
				const state = [ portalState(portal.state) ];

				if (portal.reason)
					state.push(lines(portal.reason));

				if (portal.why && portal.why !== BY_HAND)
					state.push(lines(portal.why));

				return [
					portal.name,
					portal.entrance,
					portal.address ? [ portal.exit, ' ', lines(portal.address) ] : portal.exit,
					state,
					this.drawChoice(portal)
				];
			}),
			_('This site has no portals.')
		);
	},

	drawChoice: function(portal) {
		if (portal.choices.length === 0)
			return _('one exit');

		const exits = portal.choices.map(choice => choice[0]);
		const isByHand = portal.why === BY_HAND && exits.includes(portal.exit);
		const chosen = isByHand ? portal.exit : AUTO;
		const choices = [ [ AUTO, _('automatic') ] ].concat(portal.choices);

		return E('select', {
			'class': 'cbi-input-select',
			'aria-label': _('Exit of %s').format(portal.name),
			'change': ui.createHandlerFn(this, 'choose', portal.name),
			'disabled': portal.agent && L.hasViewPermission() ? null : ''
		}, choices.map(choice => E('option', {
			'value': choice[0],
			'selected': choice[0] === chosen ? '' : null
		}, [ choice[1] ])));
	},

	drawLinks: function(links) {
		return table(
			[ _('Peer'), _('Interface'), _('State'), _('Last handshake'), _('Received'), _('Sent'), _('Endpoint') ],
			links && links.map(linkRow),
			_('This site has no links.')
		);
	},

	drawFindings: function(findings) {
		const notable = findings.filter(found => found.verdict !== 'ok');
		const right = findings.length - notable.length;

		return notable.map(finding).concat(E('p', [ _('✓ Checks that found no fault: %d').format(right) ]));
	},

	render: function(status) {
		for (const name of [ 'site', 'orders', 'portals', 'links', 'doctor' ])
			this.parts[name] = E('div', { 'id': 'portals-' + name });

		this.draw(status);
		poll.add(() => this.refresh(), 5);

		return E('div', { 'class': 'cbi-map' }, [
			E('h2', [ _('Portals') ]),
			E('div', { 'class': 'cbi-section' }, [ this.parts.site, this.parts.orders ]),
			E('div', { 'class': 'cbi-section' }, [ E('h3', [ _('Portals') ]), this.parts.portals ]),
			E('div', { 'class': 'cbi-section' }, [ E('h3', [ _('Links') ]), this.parts.links ]),
			E('div', { 'class': 'cbi-section' }, [
				E('h3', [ _('Doctor') ]),
				E('p', [ _('The doctor checks the network file, this router and its links, and changes nothing. This can take some seconds.') ]),
				E('p', [ E('button', {
					'class': 'btn cbi-button cbi-button-action',
					'id': 'portals-examine',
					'click': ui.createHandlerFn(this, 'examine')
				}, [ _('Check now') ]) ]),
				this.parts.doctor
			])
		]);
	}
});
