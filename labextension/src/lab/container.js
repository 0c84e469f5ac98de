// The script that a page of JupyterLab or Notebook 7 loads first: see build_lab.mjs, which fills in the capitals.
{
  const folder = new URL('.', document.currentScript.src);
  let scope = {};

  /** The version of a shared package that the page uses: one that is loaded, else the newest. */
  const versionOf = (versions) => {
    const newestFirst = Object.keys(versions).sort((a, b) => b.localeCompare(a, undefined, { numeric: true }));
    return versions[newestFirst.find((version) => versions[version].loaded) ?? newestFirst[0]];
  };

  /** A shared package as a module; an empty one where the page does not have it. */
  const share = async (name) => [name, scope[name] ? (await versionOf(scope[name]).get())() : {}];

  const modules = {
    './extension': async () => {
      const [{ default: run }, ...packages] = await Promise.all([import(new URL(MODULE, folder)), ...SHARED.map(share)]);
      const found = Object.fromEntries(packages);
      return run((name) => found[name], folder);
    },
    './style': async () => {
      const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: new URL(STYLE, folder) });
      await new Promise((resolve, reject) => {
        Object.assign(link, { onload: resolve, onerror: reject });
        document.head.append(link);
      });
      return {};
    },
  };

  (globalThis._JUPYTERLAB ??= {})[NAME] = {
    init(packages) {
      scope = packages;
    },
    async get(name) {
      const module = await modules[name]();
      return () => module;
    },
  };
}
