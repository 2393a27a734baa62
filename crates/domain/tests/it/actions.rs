//! The table of what can be done, walked.

use domain::actions::{ACTIONS, Action, Need, Refusal, Standing};
use domain::invoice::InvoiceStatus as S;

#[test]
fn no_action_has_two_rows_for_one_status_and_none_is_without() {
    for action in Action::ALL {
        let rows: Vec<_> = ACTIONS.iter().filter(|(of, ..)| of == action).collect();
        assert!(!rows.is_empty(), "{action}");
        for status in S::ALL {
            assert!(rows.iter().filter(|(_, statuses, _)| statuses.contains(status)).count() <= 1, "{action} {status}");
        }
    }
}

/// With each need in turn taken away, exactly what asks for it goes.
#[test]
fn an_action_is_there_when_all_it_needs_is_so() {
    for (action, statuses, needs) in ACTIONS {
        for status in *statuses {
            let all = Standing { status: *status, met: needs.to_vec() };
            assert_eq!(all.check(*action), Ok(()), "{action} {status}");
            for need in *needs {
                let met = needs.iter().copied().filter(|other| other != need).collect();
                let less = Standing { status: *status, met };
                assert_eq!(less.check(*action), Err(Refusal::Unmet(*need)), "{action} {status}");
            }
        }
    }
    for status in S::ALL {
        assert_eq!(Standing { status: *status, met: vec![] }.actions(), [], "{status}");
    }
    let everything = |status| Standing { status, met: Need::ALL.to_vec() }.actions();
    assert_eq!(everything(S::Draft), []);
    assert_eq!(everything(S::PendingPayment), [Action::Pay, Action::Cancel, Action::Authorize]);
    assert_eq!(everything(S::Paid), [Action::Refund], "what is paid cannot be called off");
}
