#!/usr/bin/env bash
# What the registry knows of the packages that ship: 0 when nothing is high or critical, 1 when something is, 2 when the registry
# gives no advisories (not every mirror does), which says nothing of the packages. docs/decisions/0010-dependencies.md has the rest.
set -u
cd "$(dirname "$0")/.."

# npm's own exit code does not tell a finding from a registry that gives none.
npm audit --omit=dev --audit-level=high --json 2>/dev/null | node -e '
  let text = "";
  process.stdin.on("data", (chunk) => (text += chunk)).on("end", () => {
    let report = {};
    try {
      report = JSON.parse(text);
    } catch {}
    if (report.auditReportVersion === undefined || report.vulnerabilities === undefined) {
      console.error(`audit: the registry gives no advisories (${report.message ?? "its answer is no report"}), so nothing is known by this; set another with npm_config_registry`);
      process.exit(2);
    }
    const found = Object.values(report.vulnerabilities);
    for (const { name, severity, range, via } of found) {
      const titles = via.map((each) => (typeof each === "string" ? `by way of ${each}` : `${each.title} ${each.url}`));
      console.log(`${severity}\t${name} ${range}\t${titles.join("; ")}`);
    }
    const grave = found.filter(({ severity }) => severity === "high" || severity === "critical");
    console.log(`audit: ${found.length} of the packages that ship are named in advisories, ${grave.length} of them high or critical`);
    process.exit(grave.length === 0 ? 0 : 1);
  });'
