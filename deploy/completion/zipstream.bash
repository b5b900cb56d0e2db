# SPDX-License-Identifier: AGPL-3.0-or-later
# Bash completion for zipstream; `make install` puts it where bash-completion
# looks for it.  Without bash-completion: source this file.

_zipstream()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local commands='serve init purge import config status zip'
	local options='--config --help --version' command='' word

	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case " $commands " in
		*" $word "*) command=$word ;;
		esac
	done
	COMPREPLY=()
	case $prev in
	--config | --pid-file | --output | -o)
		compopt -o default 2>/dev/null
		return
		;;
	--listen)
		mapfile -t COMPREPLY < <(compgen -W 'unix: 127.0.0.1: [::1]:' \
			-- "$cur")
		compopt -o nospace 2>/dev/null
		return
		;;
	--workers)
		return
		;;
	esac
	case $command in
	serve) options+=' --listen --workers --pid-file' ;;
	zip) options+=' --output --continue --quiet -o -C -q' ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	elif [[ $command == zip ]]; then
		mapfile -t COMPREPLY < <(compgen -f -X '!*.json' -- "$cur"
			compgen -d -S / -- "$cur")
		compopt -o filenames 2>/dev/null
	elif [[ -z $command ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	fi
}

complete -F _zipstream zipstream
