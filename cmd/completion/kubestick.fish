# Completes kubestick in fish; kubestick itself knows the words. To use it: kubestick completion fish | source
function __kubestick_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] $current 2>/dev/null)
    for line in $lines
        switch $line
            case ':file'
                __fish_complete_path (string replace -r '^--[^=]*=' '' -- $current)
            case ':directory'
                __fish_complete_directories (string replace -r '^--[^=]*=' '' -- $current)
            case ':*'
            case '*'
                echo $line
        end
    end
end
complete -c kubestick -f -a '(__kubestick_complete)'
