// Bugs to plant in rolling restarts: each edit replaces one text, which must occur exactly once in the
// compiled file. What is guarded twice is spoiled twice.
const room = 'src/failover/rolling-restart'
const oneNodeOut = {
  file: `${room}/plan-changes.js`,
  find: 'if (out !== undefined && out !== step)',
  replace: 'if (false)'
}
const everybodyElse = (replace) => ({
  file: `${room}/step-checks.js`,
  find: 'const others = sight.nodes.filter(',
  replace
})

export const restartMutants = [
  {
    name: 'two nodes at once',
    edits: [
      oneNodeOut,
      {
        file: `${room}/restart-executor.js`,
        find: 'const step = stepOut(plan);',
        replace:
          "const step = plan.revision % 2 === 0 && plan.steps.some((one) => one.phase === 'pending') ? null : stepOut(plan);"
      },
      everybodyElse('return [];\n    const others = sight.nodes.filter(')
    ]
  },
  {
    name: 'nobody waits until a node has caught up',
    edits: [
      {
        file: `${room}/cluster-view.js`,
        find: 'return commitIndex - replica.appliedIndex > lagEntriesMax',
        replace: 'return false'
      }
    ]
  },
  {
    name: 'majorities and other nodes are not looked at',
    edits: [everybodyElse('return [];\n    const others = sight.nodes.filter(')]
  },
  {
    name: 'readiness is not looked at',
    edits: [
      {
        file: `${room}/step-checks.js`,
        find: 'status !== null && !status.ready',
        replace: 'false'
      }
    ]
  },
  {
    name: 'verdicts are not looked at',
    edits: [
      {
        file: `${room}/step-checks.js`,
        find: "verdict === 'degraded' || verdict === 'unreachable'",
        replace: 'false'
      }
    ]
  },
  {
    name: 'changes are not fenced',
    edits: [
      {
        file: `${room}/plan-changes.js`,
        find: 'epoch === plan.epoch && revision === plan.revision',
        replace: 'true'
      }
    ]
  },
  {
    name: 'orders are not for one process',
    edits: [
      {
        file: `${room}/plan-fence.js`,
        find: 'fence.boot !== this.#boot',
        replace: 'false'
      }
    ]
  },
  {
    name: 'an owner does not claim the plan',
    edits: [
      {
        file: `${room}/restart-executor.js`,
        find: 'plan.owner !== self || plan.epoch !== term',
        replace: 'plan.owner === null'
      }
    ]
  },
  {
    name: 'whoever leads most goes first',
    edits: [
      {
        file: `${room}/restart-order.js`,
        find: '(a, b) => leads(a) - leads(b)',
        replace: '(a, b) => leads(b) - leads(a)'
      }
    ]
  },
  {
    name: 'leaders are restarted',
    edits: [
      {
        file: `${room}/drain-progress.js`,
        find: "case 'leaders':\n            return ledBy(view)",
        replace: "case 'leaders':\n            return []"
      },
      {
        file: `${room}/restart-executor.js`,
        find: 'if (ledBy(nodeIn(sight, node)).length > 0)',
        replace: 'if (false)'
      },
      {
        file: 'src/failover/drain/node-drain-driver.js',
        find: 'if (led !== undefined)',
        replace: 'if (false)'
      }
    ]
  },
  {
    name: 'a new process is taken for the old one',
    edits: [
      {
        file: `${room}/restart-executor.js`,
        find: 'view.status.boot !== boot',
        replace: 'false'
      }
    ]
  }
]
