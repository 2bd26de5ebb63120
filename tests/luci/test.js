'use strict';

/* Uses the page of portals as a person does, and posts the results. */
(() => {
	const frame = document.querySelector('iframe');
	const results = [];
	let failed = 0;

	const page = () => frame.contentDocument;
	const part = name => page().querySelector('#portals-' + name);
	const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));

	function same(what, got, wanted) {
		if (JSON.stringify(got) !== JSON.stringify(wanted))
			throw new Error(what + ': ' + JSON.stringify(got) + ', but expected ' + JSON.stringify(wanted));
	}

	function holds(what, isSo) {
		if (!isSo)
			throw new Error('not so: ' + what);
	}

	/* Repeats a probe until it does not fail, and returns its result. */
	async function eventually(probe) {
		const end = Date.now() + 90000;

		for (;;) {
			try {
				return probe();
			}
			catch (err) {
				if (Date.now() > end)
					throw err;
			}

			await pause(50);
		}
	}

	async function open(address) {
		const loaded = new Promise(done => frame.addEventListener('load', done, { once: true }));

		frame.src = address;
		await loaded;
		await eventually(() => row('portals', 'guest'));
	}

	function row(name, first) {
		const rows = Array.from(part(name).querySelectorAll('.tr'));
		const found = rows.find(line => line.querySelector('.td') && line.querySelector('.td').innerText.endsWith(first));

		holds('a row ' + first + ' in ' + name, found);

		return found;
	}

	function cell(name, first, title) {
		return row(name, first).querySelector('[data-title="' + title + '"]');
	}

	/* Texts of the notifications at the top of the page. */
	function notices() {
		return Array.from(page().querySelectorAll('[data-notification]'), message => message.innerText);
	}

	function button(title) {
		const found = Array.from(page().querySelectorAll('button')).find(node => node.innerText === title);

		holds('a button ' + title, found);

		return found;
	}

	const select = () => row('portals', 'guest').querySelector('select');

	function choose(exit) {
		select().value = exit;
		select().dispatchEvent(new Event('change'));
	}

	/* Waits until the portal is shown at an exit, in a state, with a choice. */
	function shownAt(exit, state, choice) {
		return eventually(() => {
			holds('the exit is ' + exit, cell('portals', 'guest', 'Exit now').innerText.startsWith(exit));
			holds('the state is ' + state, cell('portals', 'guest', 'State').innerText.startsWith(state));
			same('choice', select().value, choice);
			same('the choice is closed', select().disabled, false);
		});
	}

	/* Runs a program as the page does, and returns the status of the call and its result. */
	async function call(session, command, params, env) {
		const body = { id: 1, params: [ session, 'file', 'exec', { command, params, env } ] };

		return (await (await fetch('/ubus', { method: 'POST', body: JSON.stringify(body) })).json()).result;
	}

	const PROGRAM = '/usr/sbin/portals';
	const WRAPPERS = '/usr/libexec/portals-luci/';

	/* An option of the doctor that shows lines of a file, and is too long for the comparison with the ACL. */
	const LONG = '--file=' + '/'.repeat(1100) + 'etc/shadow';

	const post = address => fetch(address, { method: 'POST', body: '' });

	const cases = {
		'the page shows the portal, its exit and its choices': async () => {
			await open('/');
			await shownAt('paris', 'open', 'auto');
			same('entrance', cell('portals', 'guest', 'Entrance').innerText, 'interface portal0');
			same('choices', Array.from(select().options, option => option.value), [ 'auto', 'paris', 'oslo' ]);
			await eventually(() => holds('the states of the exits', select().options[2].text === 'oslo (up)'));
		},

		'the page shows the links': async () => {
			for (const [ peer, address ] of [ [ 'paris', '203.0.113.9:' ], [ 'oslo', '192.0.2.5:' ] ]) {
				await eventually(() => holds(peer + ' is up', cell('links', peer, 'State').innerText.startsWith('up')));
				same('interface', cell('links', peer, 'Interface').innerText, 'to-' + peer);
				holds('the endpoint', cell('links', peer, 'Endpoint').innerText.startsWith(address));
				holds('the handshake', /^\d+ s ago$/.test(cell('links', peer, 'Last handshake').innerText));

				for (const title of [ 'Received', 'Sent' ])
					holds(title, /^[\d.]+ ([KM]i)?B$/.test(cell('links', peer, title).innerText));
			}
		},

		'a choice moves the portal, and the agent takes it back': async () => {
			choose('oslo');
			await shownAt('oslo', 'failed over', 'oslo');
			await eventually(() => holds('the answer', notices().join().includes('guest leaves at oslo until')));
			choose('auto');
			await shownAt('paris', 'open', 'auto');
			same('notifications', notices().length, 1);
		},

		'an open list of exits stays open': async () => {
			const list = select();
			let rounds = 0;
			const observer = new MutationObserver(() => rounds++);

			observer.observe(part('links'), { childList: true });
			await eventually(() => holds('the links were drawn again', rounds > 1));
			observer.disconnect();
			holds('the list is still there', list.isConnected);
		},

		'the agent is stopped, started and started again': async () => {
			button('Stop').click();
			await eventually(() => holds('no agent', part('site').innerText.includes('no agent')));
			await eventually(() => same('buttons', [ 'Start', 'Stop', 'Restart' ].map(title => button(title).disabled),
				[ false, true, true ]));
			same('the list is closed', select().disabled, true);
			holds('what the kernel does', notices().join().includes('ended the agent'));

			for (const [ title, words ] of [ [ 'Start', 'started the agent' ], [ 'Restart', 'restarted the agent' ] ]) {
				button(title).click();
				await eventually(() => holds(words, notices().some(text => text.startsWith(words))));
				await eventually(() => holds('it runs', part('site').innerText.includes('agent running')));
				await eventually(() => same('Start', button('Start').disabled, true));
			}

			await shownAt('paris', 'open', 'auto');
		},

		'the doctor says what is wrong, and the way out': async () => {
			button('Check now').click();
			await eventually(() => holds('findings', part('doctor').innerText.includes('Checks that found no fault')));

			/* Nothing starts this machine's agent at boot. */
			const found = Array.from(part('doctor').children, node => node.innerText).find(text => text.startsWith('✗ boot'));

			holds('a fault with a way out in: ' + part('doctor').innerText, found && found.includes('\n→ '));
		},

		'an error is shown once, as text, for as long as it lasts': async () => {
			await post('/break');
			await eventually(() => holds('the name as text', notices().some(text => text.includes('<img src=/none'))));
			holds('the state is unknown', part('site').innerText.includes('unknown'));
			same('portals and links', [ 'portals', 'links' ].map(name => part(name).innerText.trim()), [ 'unknown', 'unknown' ]);
			same('elements in the notifications', page().querySelectorAll('img').length, 0);

			const shown = notices().length;

			await post('/repair');
			await eventually(() => same('notifications', notices().length, shown - 1));
			await shownAt('paris', 'open', 'auto');
			holds('no script ran', window.injected === undefined);
		},

		'a login that may only look gives no orders': async () => {
			await open('/?session=ro');
			await eventually(() => holds('the status', part('site').innerText.includes('agent running')));
			same('buttons', [ 'Start', 'Stop', 'Restart' ].map(title => button(title).disabled), [ true, true, true ]);
			same('list', select().disabled, true);

			for (const word of [ 'start', 'stop', 'restart', 'exit' ])
				same(word, await call('ro', WRAPPERS + word, [ 'guest', 'oslo' ]), [ 6 ]);
		},

		'a login has no rights beyond the page': async () => {
			for (const words of [
				[ 'doctor', '--json', LONG ], [ 'doctor', '--json' ], [ 'status', '--json' ],
				[], [ 'down' ], [ 'start' ], [ 'exit', '--', 'guest', 'oslo' ],
				[ '--config', '/tmp/other', 'exit', '--', 'guest', 'oslo' ]
			])
				same(words.join(' '), await call('rw', PROGRAM, words), [ 6 ]);
		},

		'a login adds no words and no environment to a command': async () => {
			for (const word of [ '--help', LONG ]) {
				const [ status, shown ] = await call('ro', WRAPPERS + 'status', [ '--config', word ]);

				same('status', status, 0);
				same('site', JSON.parse(shown.stdout).site, 'nyc');
			}

			const [ , found ] = await call('ro', WRAPPERS + 'doctor', [ LONG ]);

			const checks = JSON.parse(found.stdout).findings.map(finding => finding.check);

			holds('this site was checked', checks.includes('boot'));
			same('lines of the file', JSON.stringify(found).includes('secret'), false);

			/* portals itself refuses this value. */
			const [ , looked ] = await call('ro', WRAPPERS + 'status', [], { PORTALS_WIREGUARD: 'none' });

			same('code', looked.code, 0);

			for (const names of [ [], [ 'guest' ], [ 'guest', 'oslo', '--json' ], [ 'guest', 'oslo', LONG ] ])
				same(names.join(' '), (await call('rw', WRAPPERS + 'exit', names))[1].code, 2);

			/* A name is no option. */
			const [ , moved ] = await call('rw', WRAPPERS + 'exit', [ '--help', 'oslo' ]);

			same('code', moved.code === 0, false);
			holds('the name in: ' + moved.stderr, moved.stderr.includes('--help'));
		},

		'nothing is wider than a screen of 360 px': async () => {
			frame.style.width = '360px';
			await open('/');
			button('Check now').click();
			await eventually(() => holds('findings', part('doctor').innerText.includes('Checks that found no fault')));

			holds('it fits', page().documentElement.scrollWidth <= 360);
			same('titles of the columns', page().querySelector('.table-titles').offsetHeight, 0);
			same('title of a cell', frame.contentWindow.getComputedStyle(cell('links', 'paris', 'Sent'), '::before').content,
				'"Sent"');
		}
	};

	(async () => {
		for (const [ name, run ] of Object.entries(cases)) {
			try {
				await run();
				same('faults of the page', frame.contentWindow.faults, []);
				results.push('ok    ' + name);
			}
			catch (err) {
				failed++;
				results.push('FAIL  ' + name + ': ' + err.message);
				results.push('      ' + page().body.innerText.replace(/\n/g, '\n      '));
			}
		}

		results.push(Object.keys(cases).length - failed + ' passed, ' + failed + ' failed');
		await fetch('/result', { method: 'POST', body: results.join('\n') });
	})();
})();
