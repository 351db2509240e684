package main

// serverText says how editors are told of vsl lsp.
const serverText = `An editor learns of recipes by vsl lsp, which speaks the Language Server Protocol on its standard input and
output: what vsl lint and vsl check find is underlined while it is typed, words and keys are completed,
explained and found. It needs no root.

Neovim, from 0.11 on:

  vim.lsp.config("vsl", { cmd = { "vsl", "lsp" }, filetypes = { "lua" }, root_markers = { "recipe.lua" } })
  vim.lsp.enable("vsl")

Older ones, from 0.8 on:

  vim.api.nvim_create_autocmd("FileType", {
    pattern = "lua",
    callback = function() vim.lsp.start { name = "vsl", cmd = { "vsl", "lsp" } } end,
  })

Emacs, with eglot:

  (with-eval-after-load 'eglot
    (add-to-list 'eglot-server-programs '((lua-mode lua-ts-mode) . ("vsl" "lsp"))))

Helix, in ~/.config/helix/languages.toml:

  [language-server.vsl]
  command = "vsl"
  args = ["lsp"]

  [[language]]
  name = "lua"
  language-servers = ["vsl"]

VS Code wants an extension for each language server. This one is a folder with two files, in which
npm install vscode-languageclient is run once; ~/.vscode/extensions/vsl-lsp-0.1.0/package.json:

  {
    "name": "vsl-lsp", "publisher": "local", "version": "0.1.0", "engines": { "vscode": "^1.82.0" },
    "activationEvents": ["onLanguage:lua"], "main": "./extension.js",
    "dependencies": { "vscode-languageclient": "^9.0.0" }
  }

and extension.js beside it:

  const { LanguageClient } = require("vscode-languageclient/node");
  let client;
  exports.activate = () => {
    client = new LanguageClient("vsl", "vsl", { command: "vsl", args: ["lsp"] },
      { documentSelector: [{ scheme: "file", language: "lua" }] });
    return client.start();
  };
  exports.deactivate = () => client && client.stop();

`
