# Français.

weekday_1 = lundi
weekday_2 = mardi
weekday_3 = mercredi
weekday_4 = jeudi
weekday_5 = vendredi
weekday_6 = samedi
weekday_7 = dimanche
month_1 = janvier
month_2 = février
month_3 = mars
month_4 = avril
month_5 = mai
month_6 = juin
month_7 = juillet
month_8 = août
month_9 = septembre
month_10 = octobre
month_11 = novembre
month_12 = décembre
date = { $weekday } { $day } { $month } { $year }

hello = Bonjour { $name },
when = Quand
when_at = { $date }, de { $from } à { $until }
zone = Fuseau horaire
at_home = À votre heure
with = Avec
where = Où
proposed = Proposition
expires = Valable jusqu’au
credential = Justificatif
code = Votre code
open_visit = Ouvrir le rendez-vous
open_app = Ouvrir Knead
choose_password = Choisir un nouveau mot de passe
undo = Annuler le changement
footer = Vous recevez ce message parce que vous avez un compte Knead. L’adresse exacte et tout ce qui touche à la santé restent dans l’application.
footer_settings = Ce que nous vous écrivons, et dans quelle langue :
unsubscribe = Plus de rappels :
unsubscribe_title = Rappels de rendez-vous
unsubscribe_ask = Ne voulez-vous plus de rappels par e-mail ?
unsubscribe_button = Plus de rappels
unsubscribe_done = Vous ne recevez plus de rappels par e-mail. Vous pouvez les réactiver dans les réglages de l’application.

visit_booked =
    .subject = { $side ->
        [client] Votre massage du { $date }
       *[therapist] Nouveau rendez-vous le { $date }
    }
    .lead = { $side ->
        [client] Votre rendez-vous est réservé. { $other } vient chez vous.
       *[therapist] { $other } a pris rendez-vous avec vous.
    }
visit_requested =
    .subject = Un rendez-vous le { $date } : oui ou non ?
    .lead = { $other } souhaite un rendez-vous. L’heure vous est réservée jusqu’à votre réponse, ou jusqu’à la fin du délai.
request_sent =
    .subject = Votre demande pour le { $date }
    .lead = Nous avons demandé à { $other }. L’heure reste réservée pour vous, et nous vous écrirons dès qu’il y aura une réponse.
visit_confirmed =
    .subject = { $side ->
        [client] Confirmé : votre massage du { $date }
       *[therapist] Confirmé : votre rendez-vous du { $date }
    }
    .lead = { $side ->
        [client] { $other } a accepté et vient chez vous.
       *[therapist] Vous avez confirmé le rendez-vous avec { $other }.
    }
request_declined =
    .subject = Pas de rendez-vous le { $date }
    .lead = { $other } ne peut pas venir à cette heure. Rien n’est facturé. D’autres thérapeutes sont peut-être libres.
request_expired =
    .subject = Pas de réponse pour le { $date }
    .lead = { $other } n’a pas répondu à temps, la demande est donc caduque. Rien n’est facturé. D’autres thérapeutes sont peut-être libres.
visit_cancelled =
    .subject = Annulé : le rendez-vous du { $date }
    .lead = Le rendez-vous avec { $other } est annulé. Ce que cela coûte, le cas échéant, est indiqué avec le rendez-vous.
visit_called_off =
    .subject = Annulé par nous : le rendez-vous du { $date }
    .lead = Le rendez-vous avec { $other } ne peut pas avoir lieu, nous avons dû l’annuler. { $side ->
        [client] Ce que cela coûte, le cas échéant, est indiqué avec le rendez-vous.
       *[therapist] La raison est indiquée avec le rendez-vous.
    }
visit_moved =
    .subject = Déplacé : votre rendez-vous est maintenant le { $date }
    .lead = Le rendez-vous avec { $other } a une autre heure.
visit_reassigned =
    .subject = Une autre personne vient le { $date }
    .lead = { $other } reprend votre rendez-vous, à la même heure. Vous pouvez l’annuler sans frais.
visit_taken_over =
    .subject = Vous reprenez un rendez-vous le { $date }
    .lead = Le rendez-vous avec { $other } est désormais le vôtre.
visit_given_away =
    .subject = Le rendez-vous du { $date } n’est plus le vôtre
    .lead = Une autre personne le reprend. Vous n’avez plus rien à faire.
time_proposed =
    .subject = Une autre heure pour votre rendez-vous du { $date } ?
    .lead = { $other } propose une autre heure. Tant que vous n’êtes pas d’accord, le rendez-vous reste tel quel.
proposal_declined =
    .subject = Le rendez-vous du { $date } reste tel quel
    .lead = { $other } n’accepte pas l’autre heure. Le rendez-vous reste tel qu’il était.
proposal_withdrawn =
    .subject = Le rendez-vous du { $date } reste tel quel
    .lead = { $other } a retiré sa proposition d’une autre heure. Le rendez-vous reste tel qu’il était.
visit_delayed =
    .subject = { $other } arrivera plus tard le { $date }
    .lead = { $other } a du retard. L’heure à laquelle votre rendez-vous devrait commencer figure avec celui-ci.
visit_extended =
    .subject = Le rendez-vous du { $date } dure plus longtemps
    .lead = Le rendez-vous avec { $other } a une nouvelle fin.
visit_at_risk =
    .subject = Votre rendez-vous du { $date } est menacé
    .lead = En l’état, vous ne pouvez pas assurer le rendez-vous avec { $other }, car un justificatif manque ou n’est plus valable. Si cela ne change pas, le rendez-vous sera annulé.
visit_restored =
    .subject = Votre rendez-vous du { $date } est de nouveau assuré
    .lead = Vous pouvez finalement assurer le rendez-vous avec { $other }.
visit_handed_over =
    .subject = { $other } ne peut pas venir le { $date }
    .lead = Nous cherchons quelqu’un d’autre. Vous pouvez attendre, déplacer le rendez-vous ou l’annuler sans frais.
visit_taken_back =
    .subject = { $other } peut finalement venir le { $date }
    .lead = Votre rendez-vous reste tel qu’il était.
visit_free_again =
    .subject = Le rendez-vous du { $date } pourrait finalement avoir lieu
    .lead = Nous avons dû annuler votre rendez-vous avec { $other }. L’heure est de nouveau libre : vous pouvez la réserver encore une fois.
visit_local_time_changed =
    .subject = Vérifiez l’heure de votre rendez-vous du { $date }
    .lead = Les règles de l’heure ont changé au lieu du rendez-vous. Il a lieu au même instant qu’avant, mais les horloges y indiquent une autre heure.
visit_completed =
    .subject = Comment était votre massage ?
    .lead = Votre rendez-vous avec { $other } est terminé. Une note aide les autres, et dit à { $other } comment c’était.
no_show_reported =
    .subject = Le rendez-vous du { $date } n’a pas eu lieu
    .lead = { $other } a signalé votre absence. Si ce n’est pas le cas, dites-le dans l’application.
no_show_contested =
    .subject = { $other } n’est pas de cet avis
    .lead = { $other } dit avoir été là le { $date }. Notre équipe examine la question.
no_show_upheld =
    .subject = Le rendez-vous du { $date } : c’est réglé
    .lead = Il est établi que le ou la thérapeute n’était pas là.
no_show_rejected =
    .subject = Le rendez-vous du { $date } : c’est réglé
    .lead = Il est établi que le ou la thérapeute était là.
visit_stopped =
    .subject = Le rendez-vous du { $date } a été interrompu
    .lead = Le rendez-vous avec { $other } a été interrompu. La suite est indiquée avec le rendez-vous.
charge_lowered =
    .subject = Le rendez-vous du { $date } coûte moins
    .lead = Notre équipe a réduit ce qui est payé pour le rendez-vous avec { $other }.
visit_reminder =
    .subject = { $side ->
        [client] Rappel : votre massage du { $date }
       *[therapist] Rappel : votre rendez-vous du { $date }
    }
    .lead = { $side ->
        [client] { $other } vient bientôt chez vous.
       *[therapist] Votre rendez-vous avec { $other } approche.
    }
news =
    .subject = Il y a du nouveau pour vous sur Knead
    .lead = Ouvrez l’application pour le lire. Ce n’est pas pour un e-mail.
credential_verified =
    .subject = Votre justificatif est vérifié
    .lead = Nous l’avons vérifié. Il compte désormais pour vos rendez-vous.
credential_rejected =
    .subject = Votre justificatif n’a pas été accepté
    .lead = Nous n’avons pas pu l’accepter. Les raisons, et ce que vous pouvez faire, sont indiquées avec lui.
credential_info_requested =
    .subject = Nous avons une question sur votre justificatif
    .lead = Il nous manque quelque chose pour décider. Ce que c’est, est indiqué avec le justificatif.
credential_suspended =
    .subject = Votre justificatif est suspendu
    .lead = Il ne compte pas pour vos rendez-vous en ce moment. Les raisons sont indiquées avec lui.
credential_reinstated =
    .subject = Votre justificatif compte de nouveau
    .lead = Il n’est plus suspendu.
credential_revoked =
    .subject = Votre justificatif a été révoqué
    .lead = Il ne compte plus pour vos rendez-vous. Les raisons sont indiquées avec lui.
credential_decision_taken_back =
    .subject = Une décision sur votre justificatif a été retirée
    .lead = Il est de nouveau comme avant.
credential_expires =
    .subject = Votre justificatif expire bientôt
    .lead = Renouvelez-le, et inscrivez le renouvellement à temps : les rendez-vous après son terme ne peuvent pas être réservés.
now_bookable =
    .subject = Vous pouvez recevoir des réservations
    .lead = Tout est en place. On vous trouve à partir de maintenant.
calendar_failing =
    .subject = Nous ne pouvons pas lire votre agenda
    .lead = Un agenda que vous avez relié ne répond pas depuis deux jours. En attendant, nous nous fions à ce que nous avons lu en dernier. Vérifiez son adresse.
webhook_disabled =
    .subject = Un point d’accès webhook a été désactivé
    .lead = Il n’a pas reçu nos messages, nous avons donc cessé l’envoi. Regardez ce qu’il a répondu, réparez-le, activez-le et récupérez ce qui a manqué.
verify_email =
    .subject = { $code } est votre code
    .lead = Saisissez ce code dans l’application pour confirmer votre adresse. Il est valable une demi-heure. Si vous n’avez rien demandé, ne faites rien.
reset_password =
    .subject = Un nouveau mot de passe
    .lead = Quelqu’un a demandé un nouveau mot de passe pour votre compte. Si c’est vous, continuez ici. Sinon, ne faites rien : votre mot de passe reste le même.
change_email =
    .subject = { $code } est votre code
    .lead = Saisissez ce code dans l’application pour utiliser désormais cette adresse. Si vous n’avez rien demandé, ne faites rien.
email_changed =
    .subject = Votre compte a une autre adresse
    .lead = Vous vous connectez désormais avec une autre adresse e-mail. Si ce n’est pas vous, annulez le changement ici dans les trois jours.
password_changed =
    .subject = Votre mot de passe a été changé
    .lead = Tous les autres appareils sont déconnectés. Si ce n’est pas vous, demandez tout de suite un nouveau mot de passe.
account_suspended =
    .subject = Votre compte est suspendu
    .lead = Vous ne pouvez pas l’utiliser en ce moment. Si vous pensez que c’est une erreur, écrivez à notre équipe.
account_reinstated =
    .subject = Votre compte est de nouveau ouvert
    .lead = Vous pouvez l’utiliser comme avant.
account_closing =
    .subject = Votre compte sera effacé dans 14 jours
    .lead = Si vous ne l’avez pas demandé, ou si vous changez d’avis, connectez-vous et gardez-le. Ensuite, personne ne pourra le rétablir.
account_kept =
    .subject = Votre compte est conservé
    .lead = Il ne sera pas effacé. Vous pouvez l’utiliser comme avant.
data_exported =
    .subject = Les données que nous avons sur vous ont été téléchargées
    .lead = Si ce n’était pas vous, changez aussitôt votre mot de passe : la personne était connectée à votre place.
second_factor_added =
    .subject = La connexion demande maintenant une seconde étape
    .lead = Un second facteur a été ajouté à votre compte. Si ce n’est pas vous, écrivez tout de suite à notre équipe.
second_factor_guessed =
    .subject = Quelqu’un essaie des codes pour votre compte
    .lead = Dix codes de suite ont été essayés comme second facteur de votre compte, par quelqu’un qui a votre mot de passe. Si ce n’est pas vous, changez de mot de passe maintenant.
second_factor_removed =
    .subject = La connexion ne demande plus de seconde étape
    .lead = Le second facteur de votre compte a été retiré. Si ce n’est pas vous, écrivez tout de suite à notre équipe.
