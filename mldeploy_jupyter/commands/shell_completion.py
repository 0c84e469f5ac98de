"""`mldeploy completion SHELL`: the script with which a shell completes commands, options, services and models.

The scripts hold no words themselves: they run `mldeploy __complete -- WORDS`, which prints the completions of the last
word, one a line.
"""

from __future__ import annotations

from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result

COMPLETE = "__complete"

_BASH = """\
_mldeploy() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \\t\\n'
    local -a words
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    local last="${words[${#words[@]}-1]}"
    IFS=$'\\n'
    COMPREPLY=($(mldeploy __complete -- "${words[@]:1}" 2>/dev/null))
    # Readline completes only what follows the last colon of an id.
    [[ "$last" == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${last%"${last##*:}"}"}")
    [[ "${COMPREPLY[0]-}" == */ ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _mldeploy mldeploy
"""

_ZSH = """\
#compdef mldeploy
_mldeploy() {
    local -a found
    found=(${(f)"$(mldeploy __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    (( ${#found} )) && compadd -- $found
}
compdef _mldeploy mldeploy
"""

_FISH = """\
complete -c mldeploy -f -a '(mldeploy __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(context: Context, args: Args) -> Result:
    script = SCRIPTS[args.shell]
    return Result(script, script.rstrip("\n"), {"shell": args.shell, "script": script})


COMMANDS: tuple[Command, ...] = (
    Command(
        ("completion",),
        "Print the script that completes commands, options and names in a shell.\n\n"
        'bash, in ~/.bashrc:  eval "$(mldeploy completion bash)"\n'
        'zsh, in ~/.zshrc after compinit:  eval "$(mldeploy completion zsh)"\n'
        "fish:  mldeploy completion fish > ~/.config/fish/completions/mldeploy.fish",
        (Param("shell", (), "The shell.", required=True, choices=tuple(SCRIPTS), metavar="SHELL"),),
        completion,
        "completion bash",
    ),
)
