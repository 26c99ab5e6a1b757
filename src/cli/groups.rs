//! `--group`: a name that means nothing is a slip, and an empty list would hide it.

use anyhow::bail;

use crate::config::nearest;
use crate::dialplan::Plan;

/// Refuses a group that no dialplan has and of which nothing was found; one that the plan has lost
/// still has its past. Without groups in the dialplans nobody knows better.
pub fn must_be_known(plan: &Plan, wanted: Option<&str>, found_any: bool) -> anyhow::Result<()> {
    let known = plan.group_names();
    let Some(group) = wanted.filter(|group| !found_any && !known.contains(group)) else {
        return Ok(());
    };
    match nearest(group, known.iter().copied()) {
        Some(meant) => bail!("no dialplan has a group \"{group}\"; did you mean \"{meant}\"?"),
        None if known.is_empty() => Ok(()),
        None => {
            let known: Vec<&str> = known.into_iter().collect();
            bail!("no dialplan has a group \"{group}\"; there are: {}", known.join(", "))
        }
    }
}
