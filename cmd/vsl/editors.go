package main

// editorsText says how editors are told of vsl dap.
const editorsText = `An editor debugs a recipe by vsl dap, which speaks the Debug Adapter Protocol on its standard input and
output. It needs root as vsl up does; sudo -n asks for no password, so let sudoers allow that, or let the
editor's own host run as root.

VS Code wants an extension for each kind of debugger. This one is a folder with one file,
~/.vscode/extensions/vsl-0.1.0/package.json:

  {
    "name": "vsl", "publisher": "local", "version": "0.1.0", "engines": { "vscode": "^1.70.0" },
    "contributes": {
      "breakpoints": [{ "language": "lua" }],
      "debuggers": [{
        "type": "vsl", "label": "vsl", "languages": ["lua"],
        "program": "/usr/bin/sudo", "args": ["-n", "/usr/local/bin/vsl", "dap"],
        "configurationAttributes": { "launch": { "required": ["program"] } }
      }]
    }
  }

and the project's .vscode/launch.json:

  {
    "version": "0.2.0",
    "configurations": [
      { "type": "vsl", "request": "launch", "name": "vsl up", "program": "${file}", "params": { "count": 3 } }
    ]
  }

Neovim, with nvim-dap:

  local dap = require("dap")
  dap.adapters.vsl = { type = "executable", command = "sudo", args = { "-n", "vsl", "dap" } }
  dap.configurations.lua = {
    { type = "vsl", request = "launch", name = "vsl up", program = "${file}" },
  }

Emacs, with dape:

  (add-to-list 'dape-configs
               '(vsl modes (lua-mode lua-ts-mode) command "sudo" command-args ("-n" "vsl" "dap")
                     :type "vsl" :request "launch" :cwd dape-cwd :program dape-buffer-default))

A launch may say:

  program      the recipe's path, or the name of an embedded one (required)
  verb         up, the default; plan, which only reads the recipe; down or restart, for guests that it brought up
  names        guests and pools; all of the recipe without
  params       parameters, as an object; paramsFile names a file of them
  stopOnEntry  stop at the recipe's first line
  noDebug      only run it
  parallel     guests at once; 1 unless it says more
  keep         leave what a failed guest made
  allowHost    as vsl up --allow-host
  cwd, root    where relative paths begin, and the folder that holds all state

The way down is that of the copy of the recipe kept from the boot: breakpoints in the file hold while the two
are the same, and else its stops show the copy. Parameters are those of the boot.

Function breakpoints are "phase boot", for any phase, and "on:bind_ip", for any primitive. A breakpoint may
have a condition in Lua, a number of hits (3, >= 3, > 3, % 3) and a message to print instead of stopping, with
{expressions}. While one flow is stopped the others wait at their next statement; each is a thread. Pausing
takes effect at the next statement or primitive. Hovering reads names and fields; watches and the console run
any Lua where the flow stopped. Disconnecting, or closing the editor, undoes what is unfinished as Ctrl-C does.
`

func editorsPage() string { return serverText + editorsText }
