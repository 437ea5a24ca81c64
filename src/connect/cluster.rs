//! What the service tells of all devices.

use super::{Action, Cluster, Connect, standing::Verdict};

impl Connect {
    pub(super) fn cluster(&mut self, mut cluster: Cluster, answers: Option<u64>) {
        self.meet(std::mem::take(&mut cluster.devices), &cluster.active);
        if answers.is_some() && !std::mem::replace(&mut self.listed, true) {
            self.push(Action::Listed);
        }
        let was_active = self.is_active();
        match self.standing.cluster(&cluster, answers, self.now) {
            Verdict::Yield => {
                self.arrived(&cluster.active);
                self.retire("another device took over");
            }
            Verdict::Reassert => self.show_again(),
            Verdict::Same => {
                let others = cluster.changed.iter().any(|id| !self.standing.is_own(id));
                if was_active && answers.is_none() && others {
                    // Apps that hear of another device lose our position until they hear of us
                    // *(seen in librespot-connect)*. Never for news about ourselves: that would
                    // be answered for ever.
                    self.show_again();
                }
            }
        }
        if answers.is_some() && std::mem::take(&mut self.fresh) && !was_active {
            self.take_offer(cluster);
        }
    }

    /// Playback that a device left behind is taken up by the one that comes.
    fn take_offer(&mut self, cluster: Cluster) {
        let ours = cluster.session_id.is_empty() || cluster.session_id == self.session_id;
        if cluster.active.is_empty()
            && ours
            && let Some(offered) = cluster.offered
        {
            self.transfer(Some(*offered));
        }
    }
}
