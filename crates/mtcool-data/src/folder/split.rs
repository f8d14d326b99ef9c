//! Divides cases into parts of given sizes, so that groups stay whole and every class is in each part as often as it should be.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// A case to be assigned to a part.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Cases with the same group stay together; a case without a group is a group of its own.
    pub(super) group: Option<String>,
    /// Every part gets the same proportion of each stratum.
    pub(super) stratum: String,
}

/// The part of each of `members`: part p gets the fraction `fractions[p]` of every stratum, as far as whole groups allow. Without
/// groups, the number in a part differs from the fraction by less than 1 for every stratum.
///
/// Groups are taken in an order drawn from `seed`, larger ones first. Each goes to the part in which it leaves the smallest sum
/// of squared deviations from the wanted numbers of all strata (as the greedy rule of scikit-learn's `StratifiedGroupKFold`).
pub(super) fn divide(members: &[Member], fractions: &[f64], seed: u64) -> Vec<usize> {
    let strata: Vec<&str> = sorted(members.iter().map(|member| member.stratum.as_str()));
    let stratum = |member: &Member| strata.binary_search(&member.stratum.as_str()).unwrap_or_default();
    let mut totals = vec![0.0; strata.len()];
    members.iter().for_each(|member| totals[stratum(member)] += 1.0);
    let mut groups: BTreeMap<(bool, String), Vec<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        let key = match &member.group {
            Some(group) => (true, group.clone()),
            None => (false, format!("{index:020}")),
        };
        groups.entry(key).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));

    let mut counts = vec![vec![0.0; strata.len()]; fractions.len()];
    let mut parts = vec![0; members.len()];
    for group in groups {
        let mut of_group = vec![0.0; strata.len()];
        group.iter().for_each(|&index| of_group[stratum(&members[index])] += 1.0);
        let increase = |part: usize| -> f64 {
            let deviations = of_group.iter().zip(&counts[part]).zip(&totals).filter(|((added, _), _)| **added > 0.0);
            let increases =
                deviations.map(|((added, count), total)| added * (added + 2.0 * (count - fractions[part] * total)));
            increases.sum()
        };
        // What is left of the part as a whole decides between equal ones.
        let filled = |part: usize| counts[part].iter().sum::<f64>() - fractions[part] * members.len() as f64;
        let order =
            |a: &usize, b: &usize| increase(*a).total_cmp(&increase(*b)).then(filled(*a).total_cmp(&filled(*b)));
        let best = (0..fractions.len()).filter(|&part| fractions[part] > 0.0).min_by(order).unwrap_or(0);
        counts[best].iter_mut().zip(&of_group).for_each(|(count, added)| *count += added);
        group.iter().for_each(|&index| parts[index] = best);
    }
    parts
}

fn sorted<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members() -> impl Strategy<Value = Vec<Member>> {
        let member = (proptest::option::of(0..12u8), 0..3u8).prop_map(|(group, stratum)| Member {
            group: group.map(|group| format!("g{group}")),
            stratum: format!("s{stratum}"),
        });
        proptest::collection::vec(member, 1..80)
    }

    fn fractions() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(0.05..1.0f64, 2..6).prop_map(|shares| {
            let sum: f64 = shares.iter().sum();
            shares.into_iter().map(|share| share / sum).collect()
        })
    }

    proptest! {
        #[test]
        fn groups_stay_whole_and_every_case_has_one_part(members in members(), fractions in fractions(), seed: u64) {
            let parts = divide(&members, &fractions, seed);
            prop_assert_eq!(parts.len(), members.len());
            prop_assert!(parts.iter().all(|&part| part < fractions.len()));
            for (a, first) in members.iter().zip(&parts) {
                for (b, second) in members.iter().zip(&parts) {
                    prop_assert!(a.group.is_none() || a.group != b.group || first == second);
                }
            }
            prop_assert_eq!(divide(&members, &fractions, seed), parts, "the seed decides alone");
        }

        #[test]
        fn without_groups_every_stratum_is_divided_as_wanted(members in members(), fractions in fractions(), seed: u64) {
            let members: Vec<Member> = members.into_iter().map(|member| Member { group: None, ..member }).collect();
            let parts = divide(&members, &fractions, seed);
            for stratum in ["s0", "s1", "s2"] {
                let of = |member: &&Member| member.stratum == stratum;
                let total = members.iter().filter(of).count() as f64;
                for (part, fraction) in fractions.iter().enumerate() {
                    let count = members.iter().zip(&parts).filter(|(member, got)| of(member) && **got == part).count();
                    let deviation = (count as f64 - fraction * total).abs();
                    prop_assert!(deviation < 1.0 + 1e-9, "{stratum} in part {part}: {count} of {total} for {fraction}");
                }
            }
        }
    }

    #[test]
    fn another_seed_gives_other_parts() {
        let members = vec![Member { group: None, stratum: "s".into() }; 40];
        assert_ne!(divide(&members, &[0.5, 0.5], 1), divide(&members, &[0.5, 0.5], 2));
    }

    #[test]
    fn groups_of_one_size_fill_the_parts_evenly() {
        let member = |index: usize| Member { group: Some(format!("{}", index / 2)), stratum: format!("{}", index % 2) };
        let members: Vec<Member> = (0..60).map(member).collect();
        let parts = divide(&members, &[0.2; 5], 3);
        let counts: Vec<usize> = (0..5).map(|part| parts.iter().filter(|&&got| got == part).count()).collect();
        assert_eq!(counts, [12; 5]);
    }

    #[test]
    fn a_part_without_a_fraction_stays_empty() {
        let members = vec![Member { group: None, stratum: "s".into() }; 5];
        assert!(divide(&members, &[1.0, 0.0], 1).iter().all(|&part| part == 0));
    }
}
