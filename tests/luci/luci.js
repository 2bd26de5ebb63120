'use strict';

/* Stand-ins for the parts of LuCI that the page of portals uses. They do what LuCI's own do, also where that is
   dangerous: E() and dom.content() take a bare string for HTML, and the strings of an array for text. */
(() => {
	const session = new URLSearchParams(location.search).get('session') || 'rw';
	const names = { 2: 'InvalidArgumentError', 4: 'NotFoundError', 6: 'PermissionError', 7: 'TimeoutError' };

	/* What went wrong in the page, for the test. */
	window.faults = [];
	window.addEventListener('error', ev => window.faults.push(ev.message));
	window.addEventListener('unhandledrejection', ev => window.faults.push(String(ev.reason)));

	const isNode = value => value != null && typeof value === 'object' && 'nodeType' in value;

	const dom = {
		append(node, children) {
			if (Array.isArray(children))
				children.forEach(child => node.appendChild(isNode(child) ? child : document.createTextNode(child)));
			else if (isNode(children))
				node.appendChild(children);
			else if (children != null)
				node.innerHTML = children;
		},

		content(node, children) {
			node.replaceChildren();
			dom.append(node, children);
		}
	};

	window.E = (tag, ...rest) => {
		const node = document.createElement(tag);
		const hasAttributes = rest[0] instanceof Object && !Array.isArray(rest[0]);

		for (const [ name, value ] of Object.entries(hasAttributes ? rest.shift() : {})) {
			if (typeof value === 'function')
				node.addEventListener(name, value);
			else if (value != null)
				node.setAttribute(name, typeof value === 'object' ? JSON.stringify(value) : value);
		}

		dom.append(node, rest[0]);

		return node;
	};

	window._ = text => text;

	/* Only the directives that the page uses; another one fails. */
	String.prototype.format = function(...values) {
		return this.replace(/%(.*?)([a-z])/g, (directive, length, kind) => {
			const value = values.shift();

			if (directive === '%s')
				return value;

			if (directive === '%d')
				return Math.floor(value);

			if (directive !== '%1024.1m')
				throw new Error('unknown directive ' + directive);

			const power = value > 0 ? Math.min(6, Math.floor(Math.log2(value) / 10)) : 0;

			return power === 0 ? value + ' ' : (value / 1024 ** power).toFixed(1) + ' ' + ' KMGTPE'[power] + 'i';
		});
	};

	/* Posts a call. LuCI ends it after L.env.rpctimeout, which is 20 seconds if nothing sets it. */
	async function post(call) {
		const signal = AbortSignal.timeout((L.env.rpctimeout || 20) * 1000);

		try {
			const reply = await fetch('/ubus', { method: 'POST', body: JSON.stringify(call), signal });

			return await reply.json();
		}
		catch (err) {
			throw signal.aborted ? new Error('XHR request timed out') : err;
		}
	}

	async function exec(command, params) {
		const call = { jsonrpc: '2.0', id: 1, method: 'call', params: [ session, 'file', 'exec', { command, params } ] };
		const reply = await post(call);

		if (reply.error)
			throw Object.assign(new Error(reply.error.message), { name: 'RPCError' });

		const [ status, result ] = reply.result;

		if (status !== 0)
			throw Object.assign(new Error('ubus status ' + status), { name: names[status] || 'Error' });

		return result;
	}

	const modules = {
		dom,
		fs: { exec },
		view: { extend: page => page },

		poll: {
			/* A round begins only after the last one has ended. */
			add(round, seconds) {
				let runs = false;

				setInterval(() => {
					if (!runs) {
						runs = true;
						Promise.resolve(round()).finally(() => { runs = false });
					}
				}, seconds * 1000);
			}
		},

		ui: {
			addNotification(title, children, ...classes) {
				const message = E('div', { 'class': [ 'alert-message', ...classes ].join(' '), 'data-notification': '' }, [
					E('div', {}, children),
					E('button', { 'class': 'btn', 'click': () => message.remove() }, [ 'Dismiss' ])
				]);

				document.querySelector('#maincontent').prepend(message);

				return message;
			},

			createHandlerFn(self, fn, ...given) {
				const handler = typeof fn === 'string' ? self[fn] : fn;

				return ev => {
					const target = ev.currentTarget;

					target.disabled = true;
					Promise.resolve(handler.call(self, ...given, ev)).finally(() => { target.disabled = false });
				};
			}
		}
	};

	window.L = { env: {}, hasViewPermission: () => session === 'rw' };

	(async () => {
		const source = await (await fetch('/luci-static/resources/view/portals/status.js')).text();
		const wanted = Array.from(source.matchAll(/^'require (\w+)';$/gm), match => match[1]);
		const page = new Function(...wanted, source)(...wanted.map(name => modules[name]));

		dom.content(document.querySelector('#view'), page.render(await page.load()));
	})();
})();
