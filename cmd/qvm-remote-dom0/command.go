package main

import (
	"github.com/spf13/cobra"

	"qvmremote/dbus/service"
	"qvmremote/queue"
)

const about = `Dom0 executor of qvm-remote: runs, as root in dom0, what authorized qubes ask for.

Without a command it is the daemon. It looks at the qubes in QVM_REMOTE_VMS
(/etc/qubes/remote.conf), and runs only what is signed with a qube's key.
Authorize a qube:   qvm-remote-dom0 authorize VM
Is anything wrong?  qvm-remote-dom0 doctor

The commands ask its service on the system bus, where root and members of the
group qubes may, as far as polkit allows. Where there is no such service, root
works on the files, and with --offline also where there is one.

Exit codes: 0 done; 1 refused, failed, wrong usage, not verified (audit verify),
or something is wrong (doctor); 78 the daemon cannot use its settings. file-get
and file-put: the errno of what is in the way.`

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use: programName, Short: "Dom0 executor of qvm-remote", Long: about, Version: queue.Version,
		SilenceErrors: true, SilenceUsage: true, Args: unknownCommand, RunE: a.runDaemon,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetHelpCommand(help(root))
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(badFlag)
	root.PersistentFlags().StringVar(&a.root, "root", "/", "folder below which every file lies, for tests")
	root.PersistentFlags().BoolVar(&a.offline, "offline", false, "ask no service on the message bus and work on the files, as root: for a rescue")
	f := root.Flags()
	f.StringArrayVar(&a.daemon.vms, "vm", nil, "look at this qube instead of the configured ones; may be repeated")
	f.BoolVar(&a.daemon.once, "once", false, "look once at each qube, see through what that brings, and exit")
	f.BoolVar(&a.daemon.dryRun, "dry-run", false, "take and answer requests without running them; they are used up")
	f.BoolVar(&a.daemon.manage, "manage", false, "answer on the message bus while no executor runs; look at no qube")
	f.DurationVar(&a.daemon.idle, "idle", service.DefaultTimes().Idle, "with --manage: end when nobody has needed it for so long")
	f.BoolVarP(&a.daemon.verbose, "verbose", "v", false, "log more")
	root.AddCommand(a.authorize(), a.limit(), a.revoke(), a.keys(), a.rotate(), a.connect(), a.disconnect(), a.status(),
		group("queue", "Look into the queues of running qubes", a.queueStatus(), a.queueClean(), a.queueRecover(), a.queueDebug()),
		a.start(), a.stop(), a.restart(), a.enable(), a.disable(), a.pause(), a.resume(), a.stopEverything(),
		a.commands(), a.cancel(), a.requests(), a.approve(), a.deny(), a.approvals(),
		group("audit", "Read and verify the audit log", a.auditShow(), a.auditFollow(), a.auditVerify(), a.auditExport()),
		a.policies(), a.fileGet(), a.filePut(),
		a.doctor())
	return root
}

// help is cobra's own, but for a command that there is not.
func help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{Use: "help [COMMAND]...", Short: "Show what a command does, and its options",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil {
				return unknownCommand(root, args)
			}
			if len(rest) > 0 {
				return unknownCommand(c, rest)
			}
			return c.Help()
		}}
}
